"""Roles that come with others."""

from typing import Any

from gateway.openstack.call import Call
from gateway.openstack.faults import Refusal
from gateway.openstack.identity.documents import linked, listing
from mesh.lists import walk
from weft.identity.v1 import implication_service_pb2 as pb
from weft.identity.v1 import role_service_pb2
from weft.identity.v1.implication_service_pb2_grpc import ImplicationServiceStub
from weft.identity.v1.resources_pb2 import Role
from weft.identity.v1.role_service_pb2_grpc import RoleServiceStub


async def everywhere(call: Call) -> dict[str, Any]:
    """GET /v3/role_inferences."""
    known = await _roles(call)
    implied: dict[str, list[dict[str, Any]]] = {}
    async for each in walk(
        call.stub(ImplicationServiceStub).ListImplications, pb.ListImplicationsRequest(), "implications"
    ):
        implied.setdefault(each.role_id, []).append(_short(call, known[each.implied_role_id]))
    found = [{"prior_role": _short(call, known[id]), "implies": roles} for id, roles in implied.items()]
    return listing(call, "role_inferences", found)


async def listed(call: Call) -> dict[str, Any]:
    """GET /v3/roles/{id}/implies."""
    known, id = await _roles(call), call.params["id"]
    roles = [_short(call, known[each]) for each in await _implied(call, id)]
    return {
        "role_inference": {"prior_role": _short(call, _known(known, id)), "implies": roles},
        "links": {"self": call.url(f"/v3/roles/{id}/implies")},
    }


async def create(call: Call) -> dict[str, Any]:
    """PUT /v3/roles/{id}/implies/{implied_id}."""
    await call.stub(ImplicationServiceStub).CreateImplication(pb.CreateImplicationRequest(**_pair(call)))
    return await show(call)


async def show(call: Call) -> dict[str, Any]:
    """GET /v3/roles/{id}/implies/{implied_id}."""
    await check(call)
    known = await _roles(call)
    pair = {"prior_role": call.params["id"], "implies": call.params["implied_id"]}
    return {
        "role_inference": {name: _short(call, known[id]) for name, id in pair.items()},
        "links": {"self": call.url(f"/v3/roles/{pair['prior_role']}/implies/{pair['implies']}")},
    }


async def check(call: Call) -> None:
    """HEAD /v3/roles/{id}/implies/{implied_id}."""
    if call.params["implied_id"] not in await _implied(call, call.params["id"]):
        raise Refusal(404, "Could not find implied role.")


async def delete(call: Call) -> None:
    """DELETE /v3/roles/{id}/implies/{implied_id}."""
    await call.stub(ImplicationServiceStub).DeleteImplication(pb.DeleteImplicationRequest(**_pair(call)))


def _pair(call: Call) -> dict[str, str]:
    return {"role_id": call.params["id"], "implied_role_id": call.params["implied_id"]}


async def _implied(call: Call, id: str) -> list[str]:
    rpc, wanted = call.stub(ImplicationServiceStub).ListImplications, pb.ListImplicationsRequest(role_id=id)
    return [each.implied_role_id async for each in walk(rpc, wanted, "implications") if each.role_id == id]


async def _roles(call: Call) -> dict[str, Role]:
    rpc = call.stub(RoleServiceStub).ListRoles
    return {each.id: each async for each in walk(rpc, role_service_pb2.ListRolesRequest(), "roles")}


def _known(roles: dict[str, Role], id: str) -> Role:
    if id not in roles:
        raise Refusal(404, f"Could not find role: {id}.")
    return roles[id]


def _short(call: Call, role: Role) -> dict[str, Any]:
    return linked(call, "roles", {"id": role.id, "name": role.name, "description": role.description})
