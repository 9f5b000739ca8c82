"""ServerService: making, reading, changing and deleting. What is done with one is in actions and console."""

from collections.abc import AsyncIterator, Mapping
from typing import Any

from mesh import ids, kept, masks, rehearsal, replay, watch
from mesh.caller import Caller, current
from mesh.database import Connection
from mesh.errors import CloudError
from mesh.flow import submit
from mesh.limits import Limits
from mesh.reconcile import Sweep
from services.compute import messages, model
from services.compute.admission import Admission, Plan
from services.compute.api.actions import Actions
from services.compute.api.cards import Cards
from services.compute.api.console import Console
from services.compute.api.images import Images
from services.compute.api.resizing import Resizing
from services.compute.api.states import States
from services.compute.api.visibility import sees_hosts, shown
from services.compute.flows import endings
from services.compute.flows.app import App
from services.compute.flows.boot import BOOT
from services.compute.flows.delete import DELETE
from services.compute.store import server_groups, servers, usage
from weft.compute.v1.resources_pb2 import Server, ServerStatus
from weft.compute.v1.server_service_pb2 import (
    CreateServerRequest,
    DeleteServerRequest,
    GetServerRequest,
    ListServersRequest,
    ListServersResponse,
    UpdateServerRequest,
    WatchServersRequest,
    WatchServersResponse,
)
from weft.compute.v1.server_service_pb2_grpc import ServerServiceServicer

_CHANGEABLE = ("name", "description", "metadata", "tags", "access_ipv4", "access_ipv6")
# Changes of these are told to the guest.
_TOLD_TO_GUEST = frozenset({"name", "metadata"})


class ServerService(Actions, States, Cards, Images, Resizing, Console, ServerServiceServicer):
    """Virtual machines."""

    def __init__(self, app: App, limits: Limits, telling: Sweep) -> None:
        self._app = app
        self._database = app.database
        self._limits = limits
        self._admission = Admission(app.peers, app.database)
        self._telling = telling
        self._kept = servers.kept()

    async def GetServer(self, request: GetServerRequest, context: Any) -> Server:
        row = await self._database.peek(servers.get, request.id, current().reach)
        return shown(messages.server(row), current())

    async def ListServers(self, request: ListServersRequest, context: Any) -> ListServersResponse:
        caller = current()
        if request.host_id and not sees_hosts(caller):
            raise _administrators_only("host_id", caller)
        if request.project_id and caller.reach not in (None, request.project_id):
            raise _administrators_only("project_id", caller)
        statuses = [ServerStatus.Name(s).removeprefix("SERVER_STATUS_") for s in request.statuses]
        page, token = await self._database.read(servers.list_, self._kept, request, statuses, caller)
        answer = ListServersResponse(next_page_token=token)
        kept.put(answer.servers, page)
        for server in answer.servers:
            shown(server, caller)
        return answer

    async def CreateServer(self, request: CreateServerRequest, context: Any) -> Server:
        caller = current()
        before = await self._database.peek(replay.answered, caller, request, Server)
        if before is not None:
            return shown(before, caller)
        plan = await self._admission.plan(request, caller)
        limits = await self._limits.of(caller.project_id)
        made = await rehearsal.write(
            self._database, request.validate_only, _create, request, caller, plan, limits
        )
        return shown(made, caller)

    async def UpdateServer(self, request: UpdateServerRequest, context: Any) -> Server:
        values = masks.apply(request.update_mask, request.server, _CHANGEABLE)
        if not values.get("name", "x"):
            raise CloudError("INVALID_ARGUMENT", "A server has a name.", fields={"server.name": "is empty."})
        changed = await rehearsal.write(
            self._database, request.validate_only, _update, request, current(), values
        )
        self._telling.nudge()
        return shown(changed, current())

    async def DeleteServer(self, request: DeleteServerRequest, context: Any) -> Server:
        return shown(await self._database.write(_delete, request, current()), current())

    async def WatchServers(
        self, request: WatchServersRequest, context: Any
    ) -> AsyncIterator[WatchServersResponse]:
        caller = current()
        begin = request.from_revision or None
        async for event in watch.stream(self._database, servers.RESOURCE_TYPE, begin, caller.reach):
            server = shown(Server.FromString(event.payload), caller)
            yield WatchServersResponse(revision=event.revision, type=event.type, server=server)


def _administrators_only(field: str, caller: Caller) -> CloudError:
    return CloudError(
        "PERMISSION_DENIED",
        f"Only administrators list servers by {field}: leave it out.",
        permission="compute.servers.list",
        scope=caller.scope,
        role="admin",
    )


def _create(
    connection: Connection,
    request: CreateServerRequest,
    caller: Caller,
    plan: Plan,
    limits: Mapping[str, int],
) -> Server:
    """The row, the operation and its plan, in one unit of work."""

    def do() -> Server:
        usage.claim(connection, caller.project_id, limits, plan.quota)
        if request.server_group_id:
            server_groups.get(connection, request.server_group_id, caller.project_id, lock=True)
        server_id = ids.new()
        operation_id = submit(
            connection,
            BOOT,
            target_id=server_id,
            project_id=caller.project_id,
            caller=caller,
            input={**plan.input, "previous_status": "BUILDING"},
        )
        row = {**plan.row, "id": server_id, "operation_id": operation_id}
        return messages.server(servers.create(connection, row, plan.user_data))

    return replay.once(connection, caller, request, Server, do)


def _update(
    connection: Connection, request: UpdateServerRequest, caller: Caller, values: dict[str, Any]
) -> Server:
    def do() -> Server:
        row = servers.get(connection, request.id, caller.reach, lock=True)
        model.require_unlocked(row, "admin" in caller.roles)
        due = {"metadata_due": True} if _TOLD_TO_GUEST & values.keys() else {}
        changed = servers.change(connection, request.id, values | due, request.expected_revision)
        return messages.server(changed)

    return replay.once(connection, caller, request, Server, do)


def _delete(connection: Connection, request: DeleteServerRequest, caller: Caller) -> Server:
    """A deletion takes the server over from whatever is under way on it. Again is the same one."""

    def do() -> Server:
        try:
            row = servers.get(connection, request.id, caller.reach, lock=True)
        except CloudError:
            if not request.allow_missing:
                raise
            return Server(id=request.id)
        if row.status == "DELETING":
            return messages.server(row)
        model.require_unlocked(row, "admin" in caller.roles)
        expected, other = request.expected_revision, row.operation_id or ""
        changed = endings.begin(
            connection, row, DELETE, "DELETING", caller, expected_revision=expected, other_operation_id=other
        )
        return messages.server(changed)

    return replay.once(connection, caller, request, Server, do)
