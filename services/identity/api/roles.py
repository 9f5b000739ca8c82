"""Roles, and who has them on what."""

from typing import Any

from google.protobuf.empty_pb2 import Empty

from mesh import masks, mutation
from mesh.caller import Caller, current
from mesh.database import Database
from services.identity.api import messages, units
from services.identity.api.giving import asked, named
from services.identity.model import domain_reach
from services.identity.store import assignments, effective, roles
from weft.identity.v1 import role_service_pb2 as pb
from weft.identity.v1.resources_pb2 import Assignment, Role
from weft.identity.v1.role_service_pb2_grpc import RoleServiceServicer


class Roles(RoleServiceServicer):
    """weft.identity.v1.RoleService."""

    def __init__(self, database: Database, project_admins: bool = False) -> None:
        self._database, self._project_admins = database, project_admins

    async def GetRole(self, request: pb.GetRoleRequest, context: Any) -> Role:
        """A global role, or one of the caller's domain."""
        reach = seen(current())
        return messages.role(await self._database.read(roles.get, request.id, reach))

    async def ListRoles(self, request: pb.ListRolesRequest, context: Any) -> pb.ListRolesResponse:
        """A page of the global roles and those of the caller's domain."""
        caller = current()
        rows, more = await self._database.read(roles.listed, request, caller, seen(caller))
        return pb.ListRolesResponse(roles=map(messages.role, rows), next_page_token=more)

    async def CreateRole(self, request: pb.CreateRoleRequest, context: Any) -> Role:
        """A new role."""
        values = {
            "name": request.name,
            "description": request.description,
            "domain_id": request.domain_id,
        }
        return await mutation.change(
            self._database, request, Role, lambda unit: messages.role(roles.create(unit, values))
        )

    async def UpdateRole(self, request: pb.UpdateRoleRequest, context: Any) -> Role:
        """Changes a role's name and description."""
        values = masks.apply(request.update_mask, request.role, ["name", "description"])
        units.named(values, "role")

        def do(unit: Any) -> Role:
            return messages.role(roles.update(unit, request.id, request.expected_revision, values))

        return await mutation.change(self._database, request, Role, do)

    async def DeleteRole(self, request: pb.DeleteRoleRequest, context: Any) -> Empty:
        """Deletes a role with its assignments."""
        return await mutation.delete(
            self._database, request, lambda unit: roles.remove(unit, request.id, request.expected_revision)
        )

    async def GrantRole(self, request: pb.GrantRoleRequest, context: Any) -> Assignment:
        """Gives a role."""
        caller = current()

        def do(unit: Any) -> Assignment:
            holder, role, target = named(unit, request, caller, self._project_admins)
            row = assignments.grant(unit, holder, role, target, request.inherited)
            return messages.assignment(row)

        return await mutation.change(self._database, request, Assignment, do)

    async def RevokeRole(self, request: pb.RevokeRoleRequest, context: Any) -> Empty:
        """Takes a role back."""
        caller = current()

        def do(unit: Any) -> Empty:
            holder, role, target = named(unit, request, caller, self._project_admins)
            assignments.revoke(unit, holder, role, target, request.inherited)
            return Empty()

        return await mutation.change(self._database, request, Empty, do)

    async def ListAssignments(
        self, request: pb.ListAssignmentsRequest, context: Any
    ) -> pb.ListAssignmentsResponse:
        """A page of the assignments on what the caller administers."""
        caller = current()
        rows, more = await self._database.read(assignments.listed, request, caller, domain_reach(caller))
        return pb.ListAssignmentsResponse(assignments=map(messages.assignment, rows), next_page_token=more)

    async def ListEffectiveAssignments(
        self, request: pb.ListEffectiveAssignmentsRequest, context: Any
    ) -> pb.ListEffectiveAssignmentsResponse:
        """A page of users with all the roles that they have on one target, and why."""
        caller = current()

        def do(unit: Any) -> Any:
            target, lineage = asked(unit, request, caller)
            return effective.listed(unit, request, caller, target, lineage)

        found, more = await self._database.read(do)
        return pb.ListEffectiveAssignmentsResponse(
            assignments=map(messages.effective, found), next_page_token=more
        )


def seen(caller: Caller) -> str | None:
    """The domain whose roles the caller sees beside the global ones; None is every domain."""
    reach = domain_reach(caller)
    return reach if reach != "" else caller.user_domain_id
