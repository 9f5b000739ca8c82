"""Volumes."""

from collections.abc import AsyncIterator
from typing import Any

from mesh import ids, masks, mutation, watch
from mesh.caller import Caller, current
from mesh.errors import CloudError, invalid
from mesh.flow import submit
from services.block import messages, model, sources, store
from services.block.api.base import Api, missing_is_fine, project_of
from services.block.flows import volume_create, volume_delete, volume_extend
from services.block.model import GIB, Volume
from services.block.scheduling import Wish
from services.block.sources import Source
from weft.block.v1 import resources_pb2 as pb
from weft.block.v1 import volume_service_pb2 as verbs
from weft.block.v1 import volume_service_pb2_grpc

_FIELDS = ("name", "description", "metadata", "bootable")


class VolumeApi(Api, volume_service_pb2_grpc.VolumeServiceServicer):
    """weft.block.v1.VolumeService."""

    async def GetVolume(self, request: verbs.GetVolumeRequest, context: Any) -> pb.Volume:
        caller = current()
        return _shown(await self._database.peek(store.volumes.get, request.id, caller.reach), caller)

    async def ListVolumes(self, request: verbs.ListVolumesRequest, context: Any) -> verbs.ListVolumesResponse:
        caller = current()
        if request.project_id and caller.reach is not None:
            raise invalid("project_id", "only a token of system scope lists by project")
        statuses = [
            pb.VolumeStatus.Name(number).removeprefix("VOLUME_STATUS_") for number in request.statuses
        ]
        found, token = await self._database.read(store.volumes.page, request, caller, statuses)
        volumes = [_shown(volume, caller) for volume in found]
        return verbs.ListVolumesResponse(volumes=volumes, next_page_token=token)

    async def CreateVolume(self, request: verbs.CreateVolumeRequest, context: Any) -> pb.Volume:
        caller = current()
        project_id = project_of(caller)
        before = await self._replayed(request, pb.Volume)
        if before is not None:
            return before
        image = await self._elsewhere.image(request.image_id) if request.HasField("image_id") else None
        near = request.near_host_id
        if request.near_server_id:
            near = await self._elsewhere.host_of(request.near_server_id)
        limits = await self._limits.of(project_id)

        def create(unit: Any) -> pb.Volume:
            source = image or sources.from_rows(unit, request, caller)
            return _shown(_create(unit, request, caller, source, near, limits), caller)

        return await self._mutate(request, pb.Volume, create)

    async def UpdateVolume(self, request: verbs.UpdateVolumeRequest, context: Any) -> pb.Volume:
        caller, values = current(), masks.apply(request.update_mask, request.volume, _FIELDS)

        def change(unit: Any) -> pb.Volume:
            store.volumes.get(unit, request.id, caller.reach)
            changed = store.volumes.change(unit, request.id, values, request.expected_revision)
            return _shown(changed, caller)

        return await self._mutate(request, pb.Volume, change)

    async def DeleteVolume(self, request: verbs.DeleteVolumeRequest, context: Any) -> pb.Volume:
        caller = current()

        def delete(unit: Any) -> pb.Volume:
            try:
                volume = store.volumes.get(unit, request.id, caller.reach, lock=True)
            except CloudError as error:
                if missing_is_fine(request, error):
                    return pb.Volume()
                raise
            return _shown(_delete(unit, volume, caller, request), caller)

        return await self._mutate(request, pb.Volume, delete)

    async def ExtendVolume(self, request: verbs.ExtendVolumeRequest, context: Any) -> pb.Volume:
        caller = current()
        if (before := await mutation.before(self._database, request, pb.Volume)) is not None:
            return before
        volume = await self._database.peek(store.volumes.get, request.id, caller.reach)
        limits = await self._limits.of(volume.project_id)

        def extend(unit: Any) -> pb.Volume:
            volume = store.volumes.get(unit, request.id, caller.reach, lock=True)
            self._check_extension(unit, volume, request.size_gib)
            more = {"volume_gib": request.size_gib - volume.size_gib}
            store.usage.check(unit, volume.project_id, limits, more)
            return _shown(_extend(unit, volume, request.size_gib, caller), caller)

        return await self._mutate(request, pb.Volume, extend)

    async def WatchVolumes(
        self, request: verbs.WatchVolumesRequest, context: Any
    ) -> AsyncIterator[verbs.WatchVolumesResponse]:
        caller = current()
        async for event in watch.stream(
            self._database, "volume", request.from_revision or None, caller.reach
        ):
            volume = messages.shown(pb.Volume.FromString(event.payload), caller)
            yield verbs.WatchVolumesResponse(revision=event.revision, type=event.type, volume=volume)

    def _check_extension(self, unit: Any, volume: Volume, size_gib: int) -> None:
        store.volumes.require(volume, model.EXTENDABLE)
        store.volumes.require_unread(unit, volume)
        if size_gib <= volume.size_gib:
            raise invalid("size_gib", f"must be more than the {volume.size_gib} GiB that it has")
        pool = store.pools.get(unit, volume.pool_id)
        driver = self._app.drivers[pool.backend]
        if not all(driver.extends_attached(pool, attachment) for attachment in volume.attachments):
            message = f"The volume {volume.id} is attached from another host: detach it to extend it."
            raise CloudError("UNSUPPORTED", message, feature="extending a volume attached over NBD")


def _create(
    unit: Any, request: verbs.CreateVolumeRequest, caller: Caller, source: Source, near: str, limits: Any
) -> Volume:
    type_id = request.volume_type_id
    type_ = store.types.get(unit, type_id, caller.reach) if type_id else store.types.default(unit)
    size_gib, operation_id = sources.size_for(request, source), ids.new()
    values = {
        "id": ids.new(),
        "name": request.name,
        "description": request.description,
        "project_id": caller.project_id,
        "user_id": caller.user_id,
        "size_gib": size_gib,
        "volume_type_id": type_.id,
        "metadata": dict(request.metadata),
        "availability_zone": request.availability_zone,
        "operation_id": operation_id,
        **source.columns,
    }
    # A copy is made where its source is: nothing of it crosses to another host.
    backend, zone = ("", "") if source.pool_id else (type_.backend, request.availability_zone)
    wish = Wish(size_gib * GIB, backend, zone, source.pool_id, near)
    volume, pool = store.volumes.create(unit, values, limits, wish)
    input = {"pool_id": pool.id, "size_bytes": volume.size_bytes, "source": dict(source.begins_with)}
    _submit(unit, volume_create.FLOW, volume, caller, operation_id, input)
    return volume


def _delete(unit: Any, volume: Volume, caller: Caller, request: verbs.DeleteVolumeRequest) -> Volume:
    store.volumes.require(volume, model.DELETABLE)
    store.volumes.require_unread(unit, volume)
    operation_id = ids.new()
    values = {"status": "DELETING", "status_reason": "", "operation_id": operation_id}
    gone = []
    if request.with_snapshots:
        for snapshot in store.snapshots.of_volume(unit, volume.id):
            store.snapshots.require(snapshot, model.DELETABLE)
            store.snapshots.require_unread(unit, snapshot)
            gone.append(store.snapshots.change(unit, snapshot.id, values).id)
    else:
        store.volumes.require_no_snapshots(unit, volume)
    changed = store.volumes.change(unit, volume.id, values, request.expected_revision)
    input = {"pool_id": volume.pool_id, "snapshot_ids": gone}
    _submit(unit, volume_delete.FLOW, volume, caller, operation_id, input)
    return changed


def _extend(unit: Any, volume: Volume, size_gib: int, caller: Caller) -> Volume:
    operation_id = ids.new()
    store.pools.require_room(unit, volume.pool_id, (size_gib - volume.size_gib) * GIB)
    values = {"status": "EXTENDING", "status_reason": "", "operation_id": operation_id}
    changed = store.volumes.change(unit, volume.id, {**values, "allocated_gib": size_gib})
    input = {"pool_id": volume.pool_id, "size_gib": size_gib}
    _submit(unit, volume_extend.FLOW, volume, caller, operation_id, input)
    return changed


def _submit(
    unit: Any, flow: Any, volume: Volume, caller: Caller, operation_id: str, input: dict[str, Any]
) -> None:
    submit(
        unit,
        flow,
        target_id=volume.id,
        project_id=volume.project_id,
        caller=caller,
        input=input,
        operation_id=operation_id,
    )


def _shown(volume: Volume, caller: Caller) -> pb.Volume:
    return messages.shown(messages.volume(volume), caller)
