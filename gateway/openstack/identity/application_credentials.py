"""Application credentials: one's own."""

from typing import Any

from gateway.openstack import times
from gateway.openstack.call import Call, field
from gateway.openstack.faults import Refusal
from gateway.openstack.identity import roles
from gateway.openstack.identity.documents import listing
from mesh.lists import walk
from weft.identity.v1 import application_credential_service_pb2 as pb
from weft.identity.v1.application_credential_service_pb2_grpc import ApplicationCredentialServiceStub


async def listed(call: Call) -> dict[str, Any]:
    """GET /v3/users/{user_id}/application_credentials."""
    wanted = pb.ListApplicationCredentialsRequest(
        user_id=call.params["user_id"], name=call.query.get("name", "")
    )
    rpc, ids = _stub(call).ListApplicationCredentials, await roles.ids(call)
    found = walk(rpc, wanted, "application_credentials")
    shown = [_document(call, each, ids) async for each in found]
    return listing(call, "application_credentials", shown)


async def show(call: Call) -> dict[str, Any]:
    """GET /v3/users/{user_id}/application_credentials/{id}."""
    return {"application_credential": _document(call, await _own(call), await roles.ids(call))}


async def create(call: Call) -> dict[str, Any]:
    """POST /v3/users/{user_id}/application_credentials: for the project of the token."""
    body, ids = await call.body("application_credential"), await roles.ids(call)
    if body.get("secret") or body.get("access_rules"):
        raise Refusal(501, "The secret is made here, and rules are of the contracts' calls: leave them out.")
    request = pb.CreateApplicationCredentialRequest(
        name=field(body, "name", str),
        description=field(body, "description", str, ""),
        roles=[roles.named(each, ids) for each in field(body, "roles", list, [])],
        unrestricted=field(body, "unrestricted", bool, False),
    )
    expires = field(body, "expires_at", str, "")
    if expires:
        request.expires_at.CopyFrom(times.read(expires))
    made = await _stub(call).CreateApplicationCredential(request)
    return {"application_credential": {**_document(call, made, ids), "secret": made.secret}}


async def delete(call: Call) -> None:
    """DELETE /v3/users/{user_id}/application_credentials/{id}."""
    found = await _own(call)
    await _stub(call).DeleteApplicationCredential(pb.DeleteApplicationCredentialRequest(id=found.id))


def _stub(call: Call) -> ApplicationCredentialServiceStub:
    return call.stub(ApplicationCredentialServiceStub)


async def _own(call: Call) -> pb.ApplicationCredential:
    request = pb.GetApplicationCredentialRequest(id=call.params["id"])
    found = await _stub(call).GetApplicationCredential(request)
    if found.user_id != call.params["user_id"]:
        raise Refusal(404, f"Could not find application credential: {found.id}.")
    return found


def _document(call: Call, each: pb.ApplicationCredential, ids: dict[str, str]) -> dict[str, Any]:
    link = call.url(f"/v3/users/{each.user_id}/application_credentials/{each.id}")
    return {
        "id": each.id,
        "name": each.name,
        "description": each.description,
        "user_id": each.user_id,
        "project_id": each.project_id,
        "roles": [{"id": ids.get(name, name), "name": name, "domain_id": None} for name in each.roles],
        "unrestricted": each.unrestricted,
        "expires_at": times.bare(each.expires_at) if each.HasField("expires_at") else None,
        "system": None,
        "links": {"self": link},
    }
