"""ServerService: power and volumes. Each call begins an operation and answers at once."""

from typing import Any

from mesh import ids, replay
from mesh.caller import Caller, current
from mesh.database import Connection, Row
from mesh.errors import CloudError, invalid, not_found
from services.compute import model
from services.compute.admission import check_available
from services.compute.api.acting import Acting
from services.compute.api.visibility import shown
from services.compute.flows import endings
from services.compute.flows.power import REBOOT, START, STOP
from services.compute.flows.volumes import ATTACH, DETACH
from services.compute.store import servers
from weft.block.v1.volume_service_pb2 import GetVolumeRequest
from weft.block.v1.volume_service_pb2_grpc import VolumeServiceStub
from weft.compute.v1.resources_pb2 import Server
from weft.compute.v1.server_service_pb2 import (
    AttachVolumeRequest,
    DetachVolumeRequest,
    RebootServerRequest,
    RebootType,
    StartServerRequest,
    StopServerRequest,
    UpdateServerVolumeRequest,
)

_DEFAULT_GRACE = 60.0


class Actions(Acting):
    """What is done with a server that is there."""

    async def StartServer(self, request: StartServerRequest, context: Any) -> Server:
        def begin(connection: Connection, row: Row[Any], caller: Caller) -> Row[Any]:
            model.require(row, model.STARTABLE)
            return endings.begin(connection, row, START, "STARTING", caller, host_id=row.host_id)

        return await self._act(request, begin)

    async def StopServer(self, request: StopServerRequest, context: Any) -> Server:
        given = request.HasField("grace")
        grace = request.grace.ToMilliseconds() / 1000 if given else _DEFAULT_GRACE

        def begin(connection: Connection, row: Row[Any], caller: Caller) -> Row[Any]:
            model.require(row, model.STOPPABLE)
            wish = {"host_id": row.host_id, "grace_seconds": grace}
            return endings.begin(connection, row, STOP, "STOPPING", caller, **wish)

        return await self._act(request, begin)

    async def RebootServer(self, request: RebootServerRequest, context: Any) -> Server:
        hard = request.type == RebootType.REBOOT_TYPE_HARD

        def begin(connection: Connection, row: Row[Any], caller: Caller) -> Row[Any]:
            model.require(row, model.HARD_REBOOTABLE if hard else model.SOFT_REBOOTABLE)
            model.require_host(row, model.HARD_REBOOTABLE)
            wish = {"host_id": row.host_id, "hard": hard}
            return endings.begin(connection, row, REBOOT, "REBOOTING", caller, **wish)

        return await self._act(request, begin)

    async def AttachVolume(self, request: AttachVolumeRequest, context: Any) -> Server:
        before = await self._database.peek(replay.answered, current(), request, Server)
        if before is not None:
            return shown(before, current())
        stub: Any = self._app.peers.stub(VolumeServiceStub, service="block")
        check_available(await stub.GetVolume(GetVolumeRequest(id=request.volume_id)))

        def begin(connection: Connection, row: Row[Any], caller: Caller) -> Row[Any]:
            model.require(row, model.ATTACHABLE)
            if len(row.volumes) >= model.MAX_VOLUMES:
                raise invalid("volume_id", f"the server has {model.MAX_VOLUMES} volumes: it takes no more.")
            wish = {"volume_id": request.volume_id, "attachment_id": ids.new(), "host_id": row.host_id}
            wish["delete_on_termination"] = request.delete_on_termination
            return endings.begin(connection, row, ATTACH, row.status, caller, **wish)

        return await self._act(request, begin)

    async def DetachVolume(self, request: DetachVolumeRequest, context: Any) -> Server:
        def begin(connection: Connection, row: Row[Any], caller: Caller) -> Row[Any]:
            model.require(row, model.ATTACHABLE)
            volume = _volume_of(row, request.volume_id)
            if volume["boot"]:
                raise _boots_from(row, request.volume_id)
            wish = {"attachment_id": volume["attachment_id"], "host_id": row.host_id}
            return endings.begin(connection, row, DETACH, row.status, caller, **wish)

        return await self._act(request, begin)

    async def UpdateServerVolume(self, request: UpdateServerVolumeRequest, context: Any) -> Server:
        def update(connection: Connection, row: Row[Any], caller: Caller) -> Row[Any]:
            model.require(row, model.SETTLED)
            _volume_of(row, request.volume_id)
            ends = {"delete_on_termination": request.delete_on_termination}
            values = {"volumes": _with(row.volumes, request.volume_id, ends)}
            if row.resize:  # which the server is to have again where the resize is reverted
                before = _with(row.resize["volumes"], request.volume_id, ends)
                values["resize"] = {**row.resize, "volumes": before}
            return servers.change(connection, row.id, values)

        return await self._act(request, update)


def _with(volumes: list[dict[str, Any]], volume_id: str, values: dict[str, Any]) -> list[dict[str, Any]]:
    return [volume | (values if volume["volume_id"] == volume_id else {}) for volume in volumes]


def _volume_of(row: Row[Any], volume_id: str) -> dict[str, Any]:
    for volume in row.volumes:
        if volume["volume_id"] == volume_id:
            return volume
    raise not_found("volume", volume_id)


def _boots_from(row: Row[Any], volume_id: str) -> CloudError:
    return CloudError(
        "WRONG_STATUS",
        f"The server {row.id} boots from volume {volume_id}: that stays until it is deleted.",
        resource_type="volume",
        id=volume_id,
        status="BOOT",
        allowed="IN_USE",
    )
