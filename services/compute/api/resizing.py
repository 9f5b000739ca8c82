"""ServerService: servers get another flavor or host, and keep it or not."""

from typing import Any

from mesh import ids, replay
from mesh.caller import Caller, current
from mesh.database import Connection, Row
from mesh.errors import invalid
from mesh.flow import Flow
from mesh.limits import Limits
from services.compute import messages, model
from services.compute.api.acting import Acting, Begin
from services.compute.api.visibility import shown
from services.compute.flows import endings
from services.compute.flows.resize import GRACE, RESIZE
from services.compute.flows.resize_ends import CONFIRM, REVERT, begin_end
from services.compute.store import flavors, hosts, servers, usage
from weft.compute.v1.resources_pb2 import Server
from weft.compute.v1.server_service_pb2 import (
    ConfirmResizeRequest,
    MigrateServerRequest,
    ResizeServerRequest,
    RevertResizeRequest,
)
from weft.image.v1.resources_pb2 import Image


class Resizing(Acting):
    """Sizes and places."""

    _limits: Limits

    async def ResizeServer(self, request: ResizeServerRequest, context: Any) -> Server:
        before = await self._database.read(replay.answered, current(), request, Server)
        if before is not None:
            return shown(before, current())
        server = await self._database.read(servers.get, request.id, current().reach)
        limits = await self._limits.of(server.project_id)
        image = await self._image_if_there(server.image_id)

        def begin(connection: Connection, row: Row[Any], caller: Caller) -> Row[Any]:
            model.require(row, model.RESIZABLE)
            flavor = messages.flavor_copy(_flavor(connection, row, caller, request.flavor_id))
            more = {name: max(0, flavor[name] - row.flavor[name]) for name in ("vcpus", "memory_mib")}
            usage.claim(connection, row.project_id, limits, more)
            needs = _needs(row, flavor, image)
            return _begin(connection, row, caller, flavor, needs, same_host=True)

        return await self._act(request, begin)

    async def MigrateServer(self, request: MigrateServerRequest, context: Any) -> Server:
        before = await self._database.read(replay.answered, current(), request, Server)
        if before is not None:
            return shown(before, current())
        server = await self._database.read(servers.get, request.id, current().reach)
        image = await self._image_if_there(server.image_id)

        def begin(connection: Connection, row: Row[Any], caller: Caller) -> Row[Any]:
            model.require(row, model.RESIZABLE)
            if request.host_id:
                hosts.get(connection, request.host_id)
            if request.host_id == row.host_id:
                raise invalid("host_id", "is the host that the server is on already.")
            needs = _needs(row, row.flavor, image)
            return _begin(
                connection, row, caller, row.flavor, needs, same_host=False, target_id=request.host_id
            )

        return await self._act(request, begin)

    async def ConfirmResize(self, request: ConfirmResizeRequest, context: Any) -> Server:
        return await self._act(request, _ending(CONFIRM, "CONFIRMING"))

    async def RevertResize(self, request: RevertResizeRequest, context: Any) -> Server:
        return await self._act(request, _ending(REVERT, "REVERTING"))


def _ending(flow: Flow, status: str) -> Begin:
    """Begins the end of a resize."""

    def begin(connection: Connection, row: Row[Any], caller: Caller) -> Row[Any]:
        model.require(row, model.RESIZED)
        return begin_end(connection, row, caller, flow, status)

    return begin


def _flavor(connection: Connection, row: Row[Any], caller: Caller, id: str) -> Row[Any]:
    """The new flavor. Raises NOT_FOUND, INVALID_ARGUMENT for one that cannot be had."""
    flavor = flavors.get(connection, id, caller.reach)
    if flavor.disabled:
        raise invalid("flavor_id", "is disabled: it takes no new servers.")
    if flavor.id == row.flavor["id"]:
        raise invalid("flavor_id", "is the flavor that the server has already.")
    if row.image_id and 0 < flavor.disk_gib < row.flavor["disk_gib"]:
        raise invalid("flavor_id", f"has a smaller disk than the server ({row.flavor['disk_gib']} GiB).")
    if flavor.ephemeral_gib < row.flavor["ephemeral_gib"]:
        raise invalid("flavor_id", "has a smaller second disk than the server.")
    return flavor


def _needs(row: Row[Any], flavor: dict[str, Any], image: Image) -> model.Needs:
    """Its disks are on the host unless it boots from a volume; its image's traits are those at this time."""
    root_gib = flavor["disk_gib"] if row.image_id else 0
    return model.needs(flavor, root_gib, dict(image.properties))


def _begin(
    connection: Connection,
    row: Row[Any],
    caller: Caller,
    flavor: dict[str, Any],
    needs: model.Needs,
    *,
    same_host: bool,
    target_id: str = "",
) -> Row[Any]:
    """Until it is confirmed or reverted the project's quota has the larger of both."""
    claim_id = ids.new()
    larger = {name: max(flavor[name], row.flavor[name]) for name in ("vcpus", "memory_mib")}
    return endings.begin(
        connection,
        row,
        RESIZE,
        "RESIZING",
        caller,
        changes={**larger, "spare_claim_id": claim_id},
        host_id=row.host_id,
        host_name=row.host_name,
        flavor=flavor,
        old_flavor=row.flavor,
        needs=needs.as_input(),
        claim_id=claim_id,
        same_host=same_host,
        target_id=target_id,
        availability_zone=row.availability_zone,
        server_group_id=row.server_group_id or "",
        ports=row.ports,
        volumes=row.volumes,
        grace_seconds=GRACE,
    )
