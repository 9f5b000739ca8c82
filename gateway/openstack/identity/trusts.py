"""Trusts: roles on a project that one user lets another have."""

from typing import Any

from gateway.openstack import times
from gateway.openstack.call import Call, field
from gateway.openstack.faults import Refusal
from gateway.openstack.identity import roles
from gateway.openstack.identity.documents import linked, listing
from mesh.lists import walk
from weft.identity.v1 import trust_service_pb2 as pb
from weft.identity.v1.trust_service_pb2_grpc import TrustServiceStub


async def listed(call: Call) -> dict[str, Any]:
    """GET /v3/OS-TRUST/trusts: the caller's; everybody's, to who administers the cloud."""
    wanted = pb.ListTrustsRequest(
        trustor_user_id=call.query.get("trustor_user_id", ""),
        trustee_user_id=call.query.get("trustee_user_id", ""),
        all_users=await call.administer(),
    )
    found = walk(call.stub(TrustServiceStub).ListTrusts, wanted, "trusts")
    return listing(call, "trusts", [_summary(call, each) async for each in found])


async def show(call: Call) -> dict[str, Any]:
    """GET /v3/OS-TRUST/trusts/{id}."""
    return {"trust": await _document(call, await _get(call))}


async def create(call: Call) -> dict[str, Any]:
    """POST /v3/OS-TRUST/trusts: the caller's own roles on the project of the token."""
    body, ids = await call.body("trust"), await roles.ids(call)
    project_id = field(body, "project_id", str, "")
    if project_id != call.project_id:
        raise Refusal(403, "A trust is given for the project that the token is for.")
    request = pb.CreateTrustRequest(
        trustee_user_id=field(body, "trustee_user_id", str),
        roles=[roles.named(each, ids) for each in field(body, "roles", list, [])],
        impersonate=field(body, "impersonation", bool),
        uses=field(body, "remaining_uses", int, 0),
        redelegation=_redelegation(body),
    )
    if expires := field(body, "expires_at", str, ""):
        request.expires_at.CopyFrom(times.read(expires))
    if field(body, "trustor_user_id", str) != call.user_id:
        raise Refusal(403, "A trust is given by the user whom it is of.")
    return {"trust": await _document(call, await call.stub(TrustServiceStub).CreateTrust(request))}


async def delete(call: Call) -> None:
    """DELETE /v3/OS-TRUST/trusts/{id}."""
    await call.stub(TrustServiceStub).DeleteTrust(pb.DeleteTrustRequest(id=call.params["id"]))


async def roles_of(call: Call) -> dict[str, Any]:
    """GET /v3/OS-TRUST/trusts/{id}/roles."""
    return listing(call, "roles", await _roles(call, await _get(call)))


async def role(call: Call) -> dict[str, Any]:
    """GET and HEAD /v3/OS-TRUST/trusts/{id}/roles/{role_id}."""
    wanted = call.params["role_id"]
    for each in await _roles(call, await _get(call)):
        if each["id"] == wanted:
            return {"role": each}
    raise Refusal(404, f"Could not find role: {wanted}.")


def _redelegation(body: dict[str, Any]) -> int:
    """How many times it may be handed on: Keystone takes it where it is allowed at all."""
    if not field(body, "allow_redelegation", bool, False):
        return 0
    return field(body, "redelegation_count", int, 1)


async def _get(call: Call) -> pb.Trust:
    return await call.stub(TrustServiceStub).GetTrust(pb.GetTrustRequest(id=call.params["id"]))


async def _roles(call: Call, trust: pb.Trust) -> list[dict[str, Any]]:
    known = await roles.documents(call)
    return [known[name] for name in trust.roles if name in known]


async def _document(call: Call, trust: pb.Trust) -> dict[str, Any]:
    return {**_summary(call, trust), "roles": await _roles(call, trust)}


def _summary(call: Call, trust: pb.Trust) -> dict[str, Any]:
    shown = {
        "id": trust.id,
        "trustor_user_id": trust.trustor_user_id,
        "trustee_user_id": trust.trustee_user_id,
        "project_id": trust.project_id,
        "impersonation": trust.impersonate,
        "expires_at": times.micros(trust.expires_at) if trust.HasField("expires_at") else None,
        "deleted_at": None,
        "remaining_uses": trust.uses_left if trust.HasField("uses_left") else None,
        "redelegation_count": trust.redelegation_left,
        "redelegated_trust_id": trust.parent_id or None,
    }
    return linked(call, "OS-TRUST/trusts", shown)
