"""Credentials of any type. Those of EC2 are also keys: see ec2_credentials."""

from typing import Any

from gateway.openstack.call import Call, field, refuse_unknown
from gateway.openstack.faults import Refusal
from gateway.openstack.identity.documents import linked, listing
from mesh.lists import walk
from weft.identity.v1 import credential_service_pb2 as pb
from weft.identity.v1.credential_service_pb2_grpc import CredentialServiceStub

_LASTING = ("id", "type", "user_id", "project_id")


async def listed(call: Call) -> dict[str, Any]:
    """GET /v3/credentials: the caller's; everybody's, to who administers the cloud."""
    user_id = call.query.get("user_id", "")
    wanted = pb.ListCredentialsRequest(
        user_id=user_id, type=call.query.get("type", ""), all_users=call.administers and not user_id
    )
    found = walk(_stub(call).ListCredentials, wanted, "credentials")
    return listing(call, "credentials", [_document(call, each) async for each in found])


async def show(call: Call) -> dict[str, Any]:
    """GET /v3/credentials/{id}."""
    return {"credential": _document(call, await _get(call))}


async def create(call: Call) -> dict[str, Any]:
    """POST /v3/credentials."""
    body = await call.body("credential")
    refuse_unknown(body, {"type", "blob", "user_id", "project_id"})
    made = await _stub(call).CreateCredential(
        pb.CreateCredentialRequest(
            type=field(body, "type", str),
            blob=field(body, "blob", str),
            user_id=field(body, "user_id", str),
            project_id=field(body, "project_id", str, ""),
        )
    )
    return {"credential": _document(call, made)}


async def update(call: Call) -> dict[str, Any]:
    """PATCH /v3/credentials/{id}: what it is, whose and for which project stays."""
    body = await call.body("credential")
    refuse_unknown(body, {*_LASTING, "blob"})
    shown = _document(call, await _get(call))
    changed = [name for name in _LASTING if name in body and body[name] != shown[name]]
    if changed:
        raise Refusal(400, f"Of a credential the blob alone changes, not {', '.join(changed)}.")
    if "blob" not in body:
        return {"credential": shown}
    request = pb.UpdateCredentialRequest(id=call.params["id"], blob=field(body, "blob", str))
    return {"credential": _document(call, await _stub(call).UpdateCredential(request))}


async def delete(call: Call) -> None:
    """DELETE /v3/credentials/{id}."""
    await _stub(call).DeleteCredential(pb.DeleteCredentialRequest(id=call.params["id"]))


def _stub(call: Call) -> CredentialServiceStub:
    return call.stub(CredentialServiceStub)


async def _get(call: Call) -> pb.Credential:
    return await _stub(call).GetCredential(pb.GetCredentialRequest(id=call.params["id"]))


def _document(call: Call, each: pb.Credential) -> dict[str, Any]:
    shown = {
        "id": each.id,
        "type": each.type,
        "blob": each.blob,
        "user_id": each.user_id,
        "project_id": each.project_id or None,
    }
    return linked(call, "credentials", shown)
