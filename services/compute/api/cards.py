"""ServerService: network cards of servers that are there."""

from typing import Any

from mesh import replay
from mesh.caller import Caller, current
from mesh.database import Connection, Row
from mesh.errors import invalid, not_found
from services.compute import connections, model
from services.compute.api.acting import Acting
from services.compute.api.visibility import shown
from services.compute.flows import endings
from services.compute.flows.cards import ATTACH_PORT, DETACH_PORT
from weft.compute.v1.resources_pb2 import Server
from weft.compute.v1.server_service_pb2 import AttachPortRequest, DetachPortRequest


class Cards(Acting):
    """Ports come and go."""

    async def AttachPort(self, request: AttachPortRequest, context: Any) -> Server:
        before = await self._database.read(replay.answered, current(), request, Server)
        if before is not None:
            return shown(before, current())
        wish = await connections.card(self._app.peers, request)
        groups = await connections.security_groups(self._app.peers, request)

        def begin(connection: Connection, row: Row[Any], caller: Caller) -> Row[Any]:
            model.require(row, model.ATTACHABLE)
            if len(row.ports) >= model.MAX_PORTS:
                raise invalid("port_id", f"the server has {model.MAX_PORTS} ports: it takes no more.")
            input = {"networks": [wish], "security_group_ids": [group.id for group in groups]}
            return endings.begin(
                connection, row, ATTACH_PORT, row.status, caller, host_id=row.host_id, **input
            )

        return await self._act(request, begin)

    async def DetachPort(self, request: DetachPortRequest, context: Any) -> Server:
        def begin(connection: Connection, row: Row[Any], caller: Caller) -> Row[Any]:
            model.require(row, model.ATTACHABLE)
            port = next((port for port in row.ports if port["port_id"] == request.port_id), None)
            if port is None:
                raise not_found("port", request.port_id)
            return endings.begin(
                connection, row, DETACH_PORT, row.status, caller, host_id=row.host_id, port=port
            )

        return await self._act(request, begin)
