"""Snapshots."""

from typing import Any

from mesh import ids, masks
from mesh.caller import Caller, current
from mesh.errors import CloudError
from mesh.flow import submit
from services.block import messages, model, store
from services.block.api.base import Api, missing_is_fine
from services.block.flows import snapshot_create, snapshot_delete
from services.block.model import Snapshot
from weft.block.v1 import resources_pb2 as pb
from weft.block.v1 import snapshot_service_pb2 as verbs
from weft.block.v1 import snapshot_service_pb2_grpc

_FIELDS = ("name", "description", "metadata")


class SnapshotApi(Api, snapshot_service_pb2_grpc.SnapshotServiceServicer):
    """weft.block.v1.SnapshotService."""

    async def GetSnapshot(self, request: verbs.GetSnapshotRequest, context: Any) -> pb.Snapshot:
        reach = current().reach
        return messages.snapshot(await self._database.peek(store.snapshots.get, request.id, reach))

    async def ListSnapshots(
        self, request: verbs.ListSnapshotsRequest, context: Any
    ) -> verbs.ListSnapshotsResponse:
        found, token = await self._database.read(store.snapshots.page, request, current())
        snapshots = map(messages.snapshot, found)
        return verbs.ListSnapshotsResponse(snapshots=snapshots, next_page_token=token)

    async def CreateSnapshot(self, request: verbs.CreateSnapshotRequest, context: Any) -> pb.Snapshot:
        caller = current()
        before = await self._replayed(request, pb.Snapshot)
        if before is not None:
            return before
        volume = await self._database.peek(store.volumes.get, request.volume_id, caller.reach)
        limits = await self._limits.of(volume.project_id)
        return await self._mutate(
            request, pb.Snapshot, lambda unit: messages.snapshot(_create(unit, request, caller, limits))
        )

    async def UpdateSnapshot(self, request: verbs.UpdateSnapshotRequest, context: Any) -> pb.Snapshot:
        caller, values = current(), masks.apply(request.update_mask, request.snapshot, _FIELDS)

        def change(unit: Any) -> pb.Snapshot:
            store.snapshots.get(unit, request.id, caller.reach)
            changed = store.snapshots.change(unit, request.id, values, request.expected_revision)
            return messages.snapshot(changed)

        return await self._mutate(request, pb.Snapshot, change)

    async def DeleteSnapshot(self, request: verbs.DeleteSnapshotRequest, context: Any) -> pb.Snapshot:
        caller = current()

        def delete(unit: Any) -> pb.Snapshot:
            try:
                snapshot = store.snapshots.get(unit, request.id, caller.reach, lock=True)
            except CloudError as error:
                if missing_is_fine(request, error):
                    return pb.Snapshot()
                raise
            return messages.snapshot(_delete(unit, snapshot, caller, request.expected_revision))

        return await self._mutate(request, pb.Snapshot, delete)


def _create(unit: Any, request: verbs.CreateSnapshotRequest, caller: Caller, limits: Any) -> Snapshot:
    volume = store.volumes.get(unit, request.volume_id, caller.reach, lock=True)
    store.volumes.require(volume, model.SNAPSHOTTABLE)
    store.pools.require_room(unit, volume.pool_id, volume.size_bytes)
    operation_id = ids.new()
    values = {
        "id": ids.new(),
        "name": request.name,
        "description": request.description,
        "project_id": volume.project_id,
        "volume_id": volume.id,
        "size_gib": volume.size_gib,
        "pool_id": volume.pool_id,
        "metadata": dict(request.metadata),
        "operation_id": operation_id,
    }
    snapshot = store.snapshots.create(unit, values, limits)
    _submit(unit, snapshot_create.FLOW, snapshot, caller, operation_id)
    return snapshot


def _delete(unit: Any, snapshot: Snapshot, caller: Caller, revision: int) -> Snapshot:
    store.snapshots.require(snapshot, model.DELETABLE)
    store.snapshots.require_unread(unit, snapshot)
    operation_id = ids.new()
    values = {"status": "DELETING", "status_reason": "", "operation_id": operation_id}
    changed = store.snapshots.change(unit, snapshot.id, values, revision)
    _submit(unit, snapshot_delete.FLOW, snapshot, caller, operation_id)
    return changed


def _submit(unit: Any, flow: Any, snapshot: Snapshot, caller: Caller, operation_id: str) -> None:
    submit(
        unit,
        flow,
        target_id=snapshot.id,
        project_id=snapshot.project_id,
        caller=caller,
        input={"pool_id": snapshot.pool_id, "volume_id": snapshot.volume_id},
        operation_id=operation_id,
    )
