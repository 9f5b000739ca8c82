"""Policies: documents for the programs that read them."""

from typing import Any

from gateway.openstack.call import Call, field, refuse_unknown
from gateway.openstack.identity.documents import changes, linked, listing
from mesh.lists import walk
from weft.identity.v1 import policy_service_pb2 as pb
from weft.identity.v1.policy_service_pb2_grpc import PolicyServiceStub

_CHANGEABLE = {"type": str, "blob": str}


async def listed(call: Call) -> dict[str, Any]:
    """GET /v3/policies."""
    wanted = pb.ListPoliciesRequest(type=call.query.get("type", ""))
    found = walk(_stub(call).ListPolicies, wanted, "policies")
    return listing(call, "policies", [_document(call, each) async for each in found])


async def show(call: Call) -> dict[str, Any]:
    """GET /v3/policies/{id}."""
    found = await _stub(call).GetPolicy(pb.GetPolicyRequest(id=call.params["id"]))
    return {"policy": _document(call, found)}


async def create(call: Call) -> dict[str, Any]:
    """POST /v3/policies."""
    body = await call.body("policy")
    refuse_unknown(body, set(_CHANGEABLE))
    request = pb.CreatePolicyRequest(type=field(body, "type", str), blob=field(body, "blob", str))
    return {"policy": _document(call, await _stub(call).CreatePolicy(request))}


async def update(call: Call) -> dict[str, Any]:
    """PATCH /v3/policies/{id}."""
    body = await call.body("policy")
    refuse_unknown(body, set(_CHANGEABLE))
    message, mask = changes(body, pb.Policy(), _CHANGEABLE)
    if not mask.paths:
        return await show(call)
    request = pb.UpdatePolicyRequest(id=call.params["id"], policy=message, update_mask=mask)
    return {"policy": _document(call, await _stub(call).UpdatePolicy(request))}


async def delete(call: Call) -> None:
    """DELETE /v3/policies/{id}."""
    await _stub(call).DeletePolicy(pb.DeletePolicyRequest(id=call.params["id"]))


def _stub(call: Call) -> PolicyServiceStub:
    return call.stub(PolicyServiceStub)


def _document(call: Call, each: pb.Policy) -> dict[str, Any]:
    return linked(call, "policies", {"id": each.id, "type": each.type, "blob": each.blob})
