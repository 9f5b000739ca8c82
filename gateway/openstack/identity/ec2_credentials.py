"""Keys that sign requests as EC2's clients do: one's own, for the project of the token."""

from typing import Any

from gateway.openstack.call import Call, field
from gateway.openstack.faults import Refusal
from gateway.openstack.identity.documents import listing
from mesh.lists import walk
from weft.identity.v1 import ec2_credential_service_pb2 as pb
from weft.identity.v1.ec2_credential_service_pb2_grpc import Ec2CredentialServiceStub


async def listed(call: Call) -> dict[str, Any]:
    """GET /v3/users/{user_id}/credentials/OS-EC2."""
    return listing(call, "credentials", [_document(call, each) for each in await _all(call)])


async def show(call: Call) -> dict[str, Any]:
    """GET /v3/users/{user_id}/credentials/OS-EC2/{access}: without the secret, which is told once."""
    return {"credential": _document(call, await _one(call))}


async def create(call: Call) -> dict[str, Any]:
    """POST /v3/users/{user_id}/credentials/OS-EC2."""
    body = await call.json()
    if call.params["user_id"] != call.user_id or field(body, "tenant_id", str) != call.project_id:
        raise Refusal(403, "Keys are made for oneself, and for the project that the token is for.")
    made = await _stub(call).CreateEc2Credential(pb.CreateEc2CredentialRequest())
    return {"credential": {**_document(call, made), "secret": made.secret}}


async def delete(call: Call) -> None:
    """DELETE /v3/users/{user_id}/credentials/OS-EC2/{access}."""
    found = await _one(call)
    await _stub(call).DeleteEc2Credential(pb.DeleteEc2CredentialRequest(id=found.id))


def _stub(call: Call) -> Ec2CredentialServiceStub:
    return call.stub(Ec2CredentialServiceStub)


async def _all(call: Call) -> list[pb.Ec2Credential]:
    wanted = pb.ListEc2CredentialsRequest(user_id=call.params["user_id"])
    return [each async for each in walk(_stub(call).ListEc2Credentials, wanted, "ec2_credentials")]


async def _one(call: Call) -> pb.Ec2Credential:
    for each in await _all(call):
        if each.access_key == call.params["access"]:
            return each
    raise Refusal(404, f"Could not find credential: {call.params['access']}.")


def _document(call: Call, each: pb.Ec2Credential) -> dict[str, Any]:
    link = call.url(f"/v3/users/{each.user_id}/credentials/OS-EC2/{each.access_key}")
    return {
        "access": each.access_key,
        "user_id": each.user_id,
        "tenant_id": each.project_id,
        "trust_id": None,
        "links": {"self": link},
    }
