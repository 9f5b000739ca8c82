"""Roles."""

from typing import Any

from gateway.openstack.call import Call, field
from gateway.openstack.faults import Refusal
from gateway.openstack.identity import domains
from gateway.openstack.identity.documents import changes, linked, listing
from mesh.lists import walk
from weft.identity.v1 import role_service_pb2 as pb
from weft.identity.v1.resources_pb2 import Role
from weft.identity.v1.role_service_pb2_grpc import RoleServiceStub

_CHANGEABLE = {"name": str, "description": str}


def document(call: Call, role: Role) -> dict[str, Any]:
    """A role as Keystone shows it: a global one has no domain."""
    said = {"id": role.id, "name": role.name, "description": role.description}
    return linked(call, "roles", {**said, "domain_id": role.domain_id or None, "options": {}})


async def listed(call: Call) -> dict[str, Any]:
    """GET /v3/roles: the global ones, or those of the domain asked for."""
    wanted = await domains.id_of(call, call.query.get("domain_id", ""))
    found = walk(
        call.stub(RoleServiceStub).ListRoles, pb.ListRolesRequest(name=call.query.get("name", "")), "roles"
    )
    return listing(call, "roles", [document(call, each) async for each in found if each.domain_id == wanted])


async def ids(call: Call) -> dict[str, str]:
    """The id of each role that the caller sees, by its name."""
    return {name: each["id"] for name, each in (await documents(call)).items()}


async def documents(call: Call) -> dict[str, dict[str, Any]]:
    """Each role that the caller sees, by its name."""
    rpc = call.stub(RoleServiceStub).ListRoles
    return {role.name: document(call, role) async for role in walk(rpc, pb.ListRolesRequest(), "roles")}


def named(said: Any, known: dict[str, str]) -> str:
    """The name of the role that a body names, by its name or its id. Raises Refusal."""
    name, id = field(said, "name", str, ""), field(said, "id", str, "")
    names = [each for each, one in known.items() if one == id]
    if not name and not names:
        raise Refusal(400, f"roles: there is no role {id!r}.")
    return name or names[0]


async def show(call: Call) -> dict[str, Any]:
    """GET /v3/roles/{id}."""
    found = await call.stub(RoleServiceStub).GetRole(pb.GetRoleRequest(id=call.params["id"]))
    return {"role": document(call, found)}


async def create(call: Call) -> dict[str, Any]:
    """POST /v3/roles."""
    body = await call.body("role")
    made = await call.stub(RoleServiceStub).CreateRole(
        pb.CreateRoleRequest(
            name=field(body, "name", str),
            description=field(body, "description", str, ""),
            domain_id=await domains.id_of(call, field(body, "domain_id", str, "")),
        )
    )
    return {"role": document(call, made)}


async def update(call: Call) -> dict[str, Any]:
    """PATCH /v3/roles/{id}."""
    message, mask = changes(await call.body("role"), Role(), _CHANGEABLE)
    if not mask.paths:
        return await show(call)
    request = pb.UpdateRoleRequest(id=call.params["id"], role=message, update_mask=mask)
    return {"role": document(call, await call.stub(RoleServiceStub).UpdateRole(request))}


async def delete(call: Call) -> None:
    """DELETE /v3/roles/{id}."""
    await call.stub(RoleServiceStub).DeleteRole(pb.DeleteRoleRequest(id=call.params["id"]))
