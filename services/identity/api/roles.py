"""Roles, and who has them on what."""

from typing import Any

from google.protobuf.empty_pb2 import Empty

from mesh.caller import Caller, current
from mesh.database import Database
from mesh.errors import invalid, not_found
from services.identity.api import messages, units
from services.identity.model import Target, administers, domain_reach, need_system
from services.identity.store import assignments, domains, projects, roles, users
from weft.identity.v1 import role_service_pb2 as pb
from weft.identity.v1.resources_pb2 import Assignment, Role
from weft.identity.v1.role_service_pb2_grpc import RoleServiceServicer


class Roles(RoleServiceServicer):
    """weft.identity.v1.RoleService."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def GetRole(self, request: pb.GetRoleRequest, context: Any) -> Role:
        """A global role, or one of the caller's domain."""
        reach = _seen(current())
        return messages.role(await self._database.read(roles.get, request.id, reach))

    async def ListRoles(self, request: pb.ListRolesRequest, context: Any) -> pb.ListRolesResponse:
        """A page of the global roles and those of the caller's domain."""
        caller = current()
        rows, more = await self._database.read(roles.listed, request, caller, _seen(caller))
        return pb.ListRolesResponse(roles=map(messages.role, rows), next_page_token=more)

    async def CreateRole(self, request: pb.CreateRoleRequest, context: Any) -> Role:
        """A new role."""
        values = {
            "name": request.name,
            "description": request.description,
            "domain_id": request.domain_id,
        }
        return await units.change(
            self._database, request, Role, lambda unit: messages.role(roles.create(unit, values))
        )

    async def DeleteRole(self, request: pb.DeleteRoleRequest, context: Any) -> Empty:
        """Deletes a role with its assignments."""
        return await units.delete(
            self._database, request, lambda unit: roles.remove(unit, request.id, request.expected_revision)
        )

    async def GrantRole(self, request: pb.GrantRoleRequest, context: Any) -> Assignment:
        """Gives a role."""
        caller = current()

        def do(unit: Any) -> Assignment:
            target, role, _ = _named(unit, request, caller)
            row = assignments.grant(unit, request.user_id, role, target, request.inherited)
            return messages.assignment(row)

        return await units.change(self._database, request, Assignment, do)

    async def RevokeRole(self, request: pb.RevokeRoleRequest, context: Any) -> Empty:
        """Takes a role back."""
        caller = current()

        def do(unit: Any) -> Empty:
            target, role, reached = _named(unit, request, caller)
            assignments.revoke(unit, request.user_id, role, target, request.inherited, reached)
            return Empty()

        return await units.change(self._database, request, Empty, do)

    async def ListAssignments(
        self, request: pb.ListAssignmentsRequest, context: Any
    ) -> pb.ListAssignmentsResponse:
        """A page of the assignments on what the caller administers."""
        caller = current()
        rows, more = await self._database.read(assignments.listed, request, caller, domain_reach(caller))
        return pb.ListAssignmentsResponse(assignments=map(messages.assignment, rows), next_page_token=more)


def _seen(caller: Caller) -> str | None:
    """The domain whose roles the caller sees beside the global ones; None is every domain."""
    reach = domain_reach(caller)
    return reach if reach != "" else caller.user_domain_id


def _named(connection: Any, request: Any, caller: Caller) -> tuple[Target, Any, list[str]]:
    """The target, the role, and the projects that the role reaches there.

    Raises NOT_FOUND for what is out of the caller's reach, PERMISSION_DENIED where it takes the system.
    """
    target, domain_id, reached = _target(connection, request, caller)
    user = users.get(connection, request.user_id)
    if not administers(caller, user.domain_id):
        raise not_found("user", request.user_id)
    role = (
        roles.get(connection, request.role_id)
        if request.role_id
        else roles.named(connection, _role_name(request), domain_id)
    )
    if role.domain_id not in ("", domain_id):
        raise not_found("role", role.id)
    if role.name == "service":
        need_system(caller, "The role service")
    return target, role, reached


def _role_name(request: Any) -> str:
    if not request.role_name:
        raise invalid("role_name", "name the role, or give role_id")
    return request.role_name


def _target(connection: Any, request: Any, caller: Caller) -> tuple[Target, str, list[str]]:
    if request.WhichOneof("target") == "system":
        need_system(caller, "A role on the system")
        if request.inherited:
            raise invalid("inherited", "there is nothing below the system")
        return Target(system=True), "", []
    if request.domain_id:
        _in_reach(caller, request.domain_id, "domain", request.domain_id)
        domains.get(connection, request.domain_id)
        return Target(domain_id=request.domain_id), request.domain_id, []
    project = projects.get(connection, request.project_id)
    _in_reach(caller, project.domain_id, "project", project.id)
    reached = projects.below(connection, project.id) if request.inherited else [project.id]
    return Target(project_id=project.id), project.domain_id, reached


def _in_reach(caller: Caller, domain_id: str, kind: str, id: str) -> None:
    if not administers(caller, domain_id):
        raise not_found(kind, id)
