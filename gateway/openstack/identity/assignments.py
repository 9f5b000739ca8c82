"""Who has which role on what."""

from typing import Any

from gateway.openstack.call import Call
from gateway.openstack.faults import Refusal
from gateway.openstack.identity import effective, roles
from gateway.openstack.identity.documents import listing
from mesh.lists import walk
from weft.identity.v1 import domain_service_pb2, group_service_pb2, project_service_pb2, user_service_pb2
from weft.identity.v1 import role_service_pb2 as pb
from weft.identity.v1.domain_service_pb2_grpc import DomainServiceStub
from weft.identity.v1.group_service_pb2_grpc import GroupServiceStub
from weft.identity.v1.project_service_pb2_grpc import ProjectServiceStub
from weft.identity.v1.resources_pb2 import Assignment
from weft.identity.v1.role_service_pb2_grpc import RoleServiceStub
from weft.identity.v1.user_service_pb2_grpc import UserServiceStub

Names = dict[str, dict[str, Any]]


async def grant(call: Call) -> None:
    """PUT …/{users|groups}/{id}/roles/{role_id}."""
    await call.stub(RoleServiceStub).GrantRole(pb.GrantRoleRequest(**_named(call)))


async def revoke(call: Call) -> None:
    """DELETE …/{users|groups}/{id}/roles/{role_id}."""
    await call.stub(RoleServiceStub).RevokeRole(pb.RevokeRoleRequest(**_named(call)))


async def check(call: Call) -> None:
    """HEAD and GET …/{users|groups}/{id}/roles/{role_id}."""
    inherited = _inherited(call)
    if not any(each.inherited == inherited for each in await _found(call, _path_filter(call))):
        raise Refusal(404, "Could not find role assignment.")


async def listed(call: Call) -> dict[str, Any]:
    """GET …/{users|groups}/{id}/roles."""
    inherited = _inherited(call)
    found = await _found(call, _path_filter(call))
    ids = {each.role_id for each in found if each.inherited == inherited}
    rpc = call.stub(RoleServiceStub).ListRoles
    known = walk(rpc, pb.ListRolesRequest(), "roles")
    return listing(call, "roles", [roles.document(call, each) async for each in known if each.id in ids])


async def everywhere(call: Call) -> dict[str, Any]:
    """GET /v3/role_assignments."""
    if _asked(call, "include_subtree"):
        raise Refusal(501, "Assignments are listed for one target: include_subtree is not known here.")
    if _asked(call, "effective"):
        return await effective.listed(call)
    names: Names | None = {} if _asked(call, "include_names") else None
    request = pb.ListAssignmentsRequest(
        user_id=call.query.get("user.id", ""),
        group_id=call.query.get("group.id", ""),
        role_id=call.query.get("role.id", ""),
        project_id=call.query.get("scope.project.id", ""),
        domain_id=call.query.get("scope.domain.id", ""),
        system="scope.system" in call.query,
    )
    found = await _found(call, request)
    return listing(call, "role_assignments", [await _document(call, each, names) for each in found])


async def _document(call: Call, each: Assignment, names: Names | None) -> dict[str, Any]:
    kind, target = ("projects", each.project_id) if each.project_id else ("domains", each.domain_id)
    who, id = ("group", each.group_id) if each.group_id else ("user", each.user_id)
    shown: dict[str, Any] = {"role": {"id": each.role_id}, who: {"id": id}}
    where = "system" if each.system else f"{kind}/{target}"
    shown["scope"] = {"system": {"all": True}} if each.system else {kind[:-1]: {"id": target}}
    if each.inherited:
        shown["scope"]["OS-INHERIT:inherited_to"] = "projects"
    if names is not None:
        shown["role"]["name"] = each.role_name
        shown[who] = await _name(call, who, id, names)
        if not each.system:
            shown["scope"][kind[:-1]] = await _name(call, kind[:-1], target, names)
    link = call.url(f"/v3/{where}/{who}s/{id}/roles/{each.role_id}")
    return {**shown, "links": {"assignment": link}}


async def _name(call: Call, kind: str, id: str, names: Names) -> dict[str, Any]:
    """A user, group, project or domain by id and name, each asked for once."""
    if id in names:
        return names[id]
    found: Any
    if kind == "domain":
        found = await call.stub(DomainServiceStub).GetDomain(domain_service_pb2.GetDomainRequest(id=id))
        names[id] = {"id": id, "name": found.name}
        return names[id]
    if kind == "user":
        found = await call.stub(UserServiceStub).GetUser(user_service_pb2.GetUserRequest(id=id))
    elif kind == "group":
        found = await call.stub(GroupServiceStub).GetGroup(group_service_pb2.GetGroupRequest(id=id))
    else:
        found = await call.stub(ProjectServiceStub).GetProject(project_service_pb2.GetProjectRequest(id=id))
    domain = await _name(call, "domain", found.domain_id, names)
    names[id] = {"id": id, "name": found.name, "domain": domain}
    return names[id]


def _asked(call: Call, name: str) -> bool:
    """A query parameter that counts when it is there, whatever it says, but for false and 0."""
    return call.query.get(name, "0").lower() not in ("0", "false")


def _inherited(call: Call) -> bool:
    return call.request.url.path.endswith("/inherited_to_projects")


def _named(call: Call) -> dict[str, Any]:
    return {**_path(call), "inherited": _inherited(call)}


def _path_filter(call: Call) -> pb.ListAssignmentsRequest:
    return pb.ListAssignmentsRequest(**_path(call))


def _path(call: Call) -> dict[str, Any]:
    """Who, which role and on what, as the path names them; it names no target for the system."""
    on_something = "project_id" in call.params or "domain_id" in call.params
    return dict(call.params) if on_something else {**call.params, "system": True}


async def _found(call: Call, request: pb.ListAssignmentsRequest) -> list[Assignment]:
    return [each async for each in walk(call.stub(RoleServiceStub).ListAssignments, request, "assignments")]
