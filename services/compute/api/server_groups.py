"""ServerGroupService."""

from typing import Any

from google.protobuf.empty_pb2 import Empty

from mesh import ids, mutation
from mesh.caller import current
from mesh.database import Connection, Database
from mesh.errors import invalid
from services.compute import messages
from services.compute.groups import ANTI_AFFINITY
from services.compute.store import server_groups
from weft.compute.v1.resources_pb2 import ServerGroup, ServerGroupPolicy
from weft.compute.v1.server_group_service_pb2 import (
    CreateServerGroupRequest,
    DeleteServerGroupRequest,
    GetServerGroupRequest,
    ListServerGroupsRequest,
    ListServerGroupsResponse,
)
from weft.compute.v1.server_group_service_pb2_grpc import ServerGroupServiceServicer


class ServerGroupService(ServerGroupServiceServicer):
    """Servers that are to be near each other, or apart."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def GetServerGroup(self, request: GetServerGroupRequest, context: Any) -> ServerGroup:
        return await self._database.peek(_get, request.id, current().reach)

    async def ListServerGroups(
        self, request: ListServerGroupsRequest, context: Any
    ) -> ListServerGroupsResponse:
        caller = current()

        def list_(connection: Connection) -> ListServerGroupsResponse:
            rows, token = server_groups.list_(connection, request, caller)
            having = server_groups.members(connection, [row.id for row in rows])
            found = [messages.server_group(row, having[row.id]) for row in rows]
            return ListServerGroupsResponse(server_groups=found, next_page_token=token)

        return await self._database.read(list_)

    async def CreateServerGroup(self, request: CreateServerGroupRequest, context: Any) -> ServerGroup:
        caller = current()
        if not caller.project_id:
            raise invalid("project", "a server group belongs to a project: log in to one.")
        policy = ServerGroupPolicy.Name(request.policy).removeprefix("SERVER_GROUP_POLICY_")
        if request.max_servers_per_host and policy != ANTI_AFFINITY:
            raise invalid("max_servers_per_host", "is said of the policy ANTI_AFFINITY alone.")
        values = {
            "id": ids.new(),
            "name": request.name,
            "project_id": caller.project_id,
            "user_id": caller.user_id,
            "policy": policy,
            "max_servers_per_host": (request.max_servers_per_host or 1) if policy == ANTI_AFFINITY else 0,
        }

        def create(connection: Connection) -> ServerGroup:
            return messages.server_group(server_groups.create(connection, values), [])

        return await mutation.change(self._database, request, ServerGroup, create)

    async def DeleteServerGroup(self, request: DeleteServerGroupRequest, context: Any) -> Empty:
        reach = current().reach

        def delete(connection: Connection) -> None:
            server_groups.remove(connection, request.id, reach, request.expected_revision)

        return await mutation.delete(self._database, request, delete)


def _get(connection: Connection, id: str, reach: str | None) -> ServerGroup:
    row = server_groups.get(connection, id, reach)
    return messages.server_group(row, server_groups.members(connection, [id])[id])
