"""Volumes that go from one project to another."""

import hashlib
import hmac
import secrets
from collections.abc import Sequence
from typing import Any

from google.protobuf.empty_pb2 import Empty

from mesh import ids, mutation
from mesh.caller import Caller, current
from mesh.errors import not_found
from services.block import messages, model, store
from services.block.api.base import Api, project_of
from services.block.model import Snapshot, Transfer, Volume
from weft.block.v1 import resources_pb2 as pb
from weft.block.v1 import volume_transfer_service_pb2 as verbs
from weft.block.v1 import volume_transfer_service_pb2_grpc

# Bytes of chance in a key.
_KEY = 24


class VolumeTransferApi(Api, volume_transfer_service_pb2_grpc.VolumeTransferServiceServicer):
    """weft.block.v1.VolumeTransferService."""

    async def GetVolumeTransfer(
        self, request: verbs.GetVolumeTransferRequest, context: Any
    ) -> pb.VolumeTransfer:
        return messages.transfer(await self._database.peek(store.transfers.get, request.id, current().reach))

    async def ListVolumeTransfers(
        self, request: verbs.ListVolumeTransfersRequest, context: Any
    ) -> verbs.ListVolumeTransfersResponse:
        found, token = await self._database.read(store.transfers.page, request, current())
        offered = map(messages.transfer, found)
        return verbs.ListVolumeTransfersResponse(volume_transfers=offered, next_page_token=token)

    async def CreateVolumeTransfer(
        self, request: verbs.CreateVolumeTransferRequest, context: Any
    ) -> pb.VolumeTransfer:
        """The key is added to the first answer only: what replays give is without it."""
        caller, id, key = current(), ids.new(), secrets.token_urlsafe(_KEY)

        def create(unit: Any) -> pb.VolumeTransfer:
            volume = store.volumes.get(unit, request.volume_id, caller.reach, lock=True)
            store.volumes.require(volume, model.TRANSFERABLE)
            store.volumes.require_unread(unit, volume)
            _settled_snapshots(unit, volume)
            store.volumes.change(unit, volume.id, {"status": "AWAITING_TRANSFER"})
            values = {"id": id, "name": request.name, "project_id": volume.project_id}
            values |= {"volume_id": volume.id, "key_digest": _digest(key)}
            return messages.transfer(store.transfers.create(unit, values))

        made = await self._mutate(request, pb.VolumeTransfer, create)
        made.auth_key = key if made.id == id else ""
        return made

    async def AcceptVolumeTransfer(
        self, request: verbs.AcceptVolumeTransferRequest, context: Any
    ) -> pb.Volume:
        caller = current()
        limits = await self._limits.of(project_of(caller))

        def accept(unit: Any) -> pb.Volume:
            transfer = store.transfers.get(unit, request.id, None, lock=True)
            if not hmac.compare_digest(transfer.key_digest, _digest(request.auth_key)):
                raise not_found("volume_transfer", request.id)
            accepted = _accept(unit, transfer, caller, limits)
            return messages.shown(messages.volume(accepted), caller)

        return await self._mutate(request, pb.Volume, accept)

    async def DeleteVolumeTransfer(self, request: verbs.DeleteVolumeTransferRequest, context: Any) -> Empty:
        reach = current().reach

        def delete(unit: Any) -> None:
            transfer = store.transfers.get(unit, request.id, reach, lock=True)
            store.transfers.remove(unit, transfer.id, request.expected_revision)
            store.volumes.change(unit, transfer.volume_id, {"status": "AVAILABLE"})

        return await mutation.delete(self._database, request, delete)


def _accept(unit: Any, transfer: Transfer, caller: Caller, limits: Any) -> Volume:
    volume = store.volumes.get(unit, transfer.volume_id, None, lock=True)
    going = _settled_snapshots(unit, volume)
    if caller.project_id != volume.project_id:
        gib = volume.allocated_gib + sum(snapshot.size_gib for snapshot in going)
        more = {"volumes": 1, "snapshots": len(going), "volume_gib": gib}
        store.usage.check(unit, caller.project_id, limits, more)
    for snapshot in going:
        store.snapshots.change(unit, snapshot.id, {"project_id": caller.project_id})
    store.transfers.remove(unit, transfer.id)
    return store.volumes.hand_over(unit, volume.id, caller.project_id, caller.user_id)


def _settled_snapshots(unit: Any, volume: Volume) -> Sequence[Snapshot]:
    """The snapshots of the volume. Raises WRONG_STATUS, IN_USE while something is under way on one."""
    found = store.snapshots.of_volume(unit, volume.id)
    for snapshot in found:
        store.snapshots.require(snapshot, model.SETTLED)
        store.snapshots.require_unread(unit, snapshot)
    return found


def _digest(key: str) -> str:
    return hashlib.sha256(key.encode()).hexdigest()
