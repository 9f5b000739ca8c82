"""Key pairs of the caller's."""

import uuid
from typing import Any

import orjson
from starlette.responses import Response

from gateway.openstack import call as body
from gateway.openstack import times
from gateway.openstack.call import Call
from gateway.openstack.dialect import Route
from gateway.openstack.faults import Refusal
from mesh.lists import walk
from weft.compute.v1 import key_pair_service_pb2 as pb
from weft.compute.v1.key_pair_service_pb2_grpc import KeyPairServiceStub
from weft.compute.v1.resources_pb2 import KeyPair


def view(call: Call, one: KeyPair) -> dict[str, Any]:
    """As a list shows it."""
    document = {"name": one.name, "public_key": one.public_key, "fingerprint": one.fingerprint}
    return document | ({"type": "ssh"} if call.microversion >= (2, 2) else {})


async def index(call: Call) -> dict[str, Any]:
    """GET /os-keypairs."""
    _only_own(call.query.get("user_id"))
    found = walk(call.stub(KeyPairServiceStub).ListKeyPairs, pb.ListKeyPairsRequest(), "key_pairs")
    names = {one.name: one async for one in found}
    marker = call.query.get("marker")
    if marker is not None and marker not in names:
        raise Refusal(400, f"The marker {marker} is not in the list.")
    ordered = sorted(name for name in names if marker is None or name > marker)
    limit = call.query.get("limit", "1000")
    if not limit.isdecimal() or len(limit) > 9:
        raise Refusal(400, f"limit: {limit!r} is not a whole number of 0 or more.")
    return {"keypairs": [{"keypair": view(call, names[name])} for name in ordered[: int(limit)]]}


async def show(call: Call) -> dict[str, Any]:
    """GET /os-keypairs/{name}."""
    _only_own(call.query.get("user_id"))
    request = pb.GetKeyPairRequest(name=call.params["name"])
    one = await call.stub(KeyPairServiceStub).GetKeyPair(request)
    return {
        "keypair": {
            **view(call, one),
            "user_id": one.user_id,
            "id": uuid.UUID(one.id).int >> 97,  # Nova's are numbers
            "created_at": times.bare(one.created_at),
            "updated_at": times.bare(one.updated_at),
            "deleted": False,
            "deleted_at": None,
        }
    }


async def create(call: Call) -> Response:
    """POST /os-keypairs."""
    given = await call.body("keypair")
    version = call.microversion
    known = {"name", "public_key"} | ({"type"} if version >= (2, 2) else set())
    body.refuse_unknown(given, known | ({"user_id"} if version >= (2, 10) else set()))
    if body.field(given, "type", str, "ssh") != "ssh":
        raise Refusal(501, "Key pairs are for SSH: there are no certificates.")
    _only_own(given.get("user_id"))
    if version >= (2, 92) and not given.get("public_key"):
        raise Refusal(400, "public_key is a required property.")
    request = pb.CreateKeyPairRequest(
        name=body.field(given, "name", str), public_key=body.field(given, "public_key", str, "")
    )
    made = await call.stub(KeyPairServiceStub).CreateKeyPair(request)
    document = {**view(call, made), "user_id": made.user_id}
    if made.private_key:
        document["private_key"] = made.private_key
    status = 201 if version >= (2, 2) else 200
    return Response(orjson.dumps({"keypair": document}), status, media_type="application/json")


async def delete(call: Call) -> Response:
    """DELETE /os-keypairs/{name}."""
    _only_own(call.query.get("user_id"))
    request = pb.DeleteKeyPairRequest(name=call.params["name"])
    await call.stub(KeyPairServiceStub).DeleteKeyPair(request)
    return Response(status_code=204 if call.microversion >= (2, 2) else 202)


def _only_own(user_id: Any) -> None:
    if user_id is not None:
        raise Refusal(501, "Key pairs are each user's own affair: leave user_id out.")


ROUTES = (
    Route("GET", "/v2.1/os-keypairs", index),
    Route("POST", "/v2.1/os-keypairs", create),
    Route("GET", "/v2.1/os-keypairs/{name}", show),
    Route("DELETE", "/v2.1/os-keypairs/{name}", delete),
)
