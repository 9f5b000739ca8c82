"""ServerService: servers are paused, suspended and locked."""

from typing import Any

from mesh import clock
from mesh.caller import Caller, current
from mesh.database import Connection, Row
from mesh.errors import CloudError
from mesh.flow import Flow
from services.compute import messages, model
from services.compute.api.acting import Acting, Begin
from services.compute.api.visibility import shown
from services.compute.flows import endings
from services.compute.flows.freezing import PAUSE, RESUME, SUSPEND, UNPAUSE
from services.compute.store import servers
from weft.compute.v1.resources_pb2 import Server
from weft.compute.v1.server_service_pb2 import (
    LockServerRequest,
    PauseServerRequest,
    ResumeServerRequest,
    SuspendServerRequest,
    UnlockServerRequest,
    UnpauseServerRequest,
)


class States(Acting):
    """What keeps a server from running, or from being changed."""

    async def PauseServer(self, request: PauseServerRequest, context: Any) -> Server:
        return await self._act(request, _beginning(PAUSE, model.PAUSABLE, "PAUSING"))

    async def UnpauseServer(self, request: UnpauseServerRequest, context: Any) -> Server:
        return await self._act(request, _beginning(UNPAUSE, model.UNPAUSABLE, "UNPAUSING"))

    async def SuspendServer(self, request: SuspendServerRequest, context: Any) -> Server:
        return await self._act(request, _beginning(SUSPEND, model.SUSPENDABLE, "SUSPENDING"))

    async def ResumeServer(self, request: ResumeServerRequest, context: Any) -> Server:
        return await self._act(request, _beginning(RESUME, model.RESUMABLE, "RESUMING"))

    async def LockServer(self, request: LockServerRequest, context: Any) -> Server:
        def lock(connection: Connection, row: Row[Any], caller: Caller) -> Server:
            return messages.server(_lock(connection, row, caller, request.reason))

        return shown(await self._begin(request, Server, lock), current())

    async def UnlockServer(self, request: UnlockServerRequest, context: Any) -> Server:
        def unlock(connection: Connection, row: Row[Any], caller: Caller) -> Server:
            return messages.server(_unlock(connection, row, caller))

        return shown(await self._begin(request, Server, unlock), current())


def _beginning(flow: Flow, allowed: tuple[str, ...], status: str) -> Begin:
    """Begins the flow on a server that is in one of these statuses."""

    def begin(connection: Connection, row: Row[Any], caller: Caller) -> Row[Any]:
        model.require(row, allowed)
        return endings.begin(connection, row, flow, status, caller, host_id=row.host_id)

    return begin


def _lock(connection: Connection, row: Row[Any], caller: Caller, reason: str) -> Row[Any]:
    if row.lock:
        return row
    holder = "admin" if "admin" in caller.roles else "owner"
    lock = {"holder": holder, "user_id": caller.user_id, "reason": reason, "at": clock.now().isoformat()}
    return servers.change(connection, row.id, {"lock": lock})


def _unlock(connection: Connection, row: Row[Any], caller: Caller) -> Row[Any]:
    if not row.lock:
        return row
    if row.lock["holder"] == "admin" and "admin" not in caller.roles:
        raise CloudError(
            "PERMISSION_DENIED",
            f"An administrator has locked the server {row.id}: only one can unlock it.",
            permission="compute.servers.unlock",
            scope=caller.scope,
            role="admin",
        )
    return servers.change(connection, row.id, {"lock": {}})
