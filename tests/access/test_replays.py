"""Every RPC that takes a request_id knows a request that it has seen."""

import base64
from typing import Any

import msgspec
import pytest

from mesh import ids, replay
from mesh.caller import Caller, Kind
from mesh.contract import Method
from tests.access.conftest import HOST, Mesh
from tests.access.requests import valid
from tests.access.test_matrix import all_methods, expected
from tests.access.test_tenants import outcome
from weft.image.v1.image_service_pb2 import CreateImageRequest

pytestmark = pytest.mark.asyncio(loop_scope="package")

WHO = ("project admin", "system admin", "domain manager", "service", "node")
REPEATED = [each for each in all_methods() if "request_id" in each.request_type.DESCRIPTOR.fields_by_name]

# What is looked at before a request_id is, as it is the same each time.
NEEDED: dict[str, dict[str, Any]] = {
    "CreateEndpoint": {"service_id": HOST},
    "CreateIdentityProvider": {
        "issuer": "https://example.invalid",
        "audiences": ["x"],
        "rules": [{"user_name": "x"}],
    },
    "SetLimit": {"limit": {"service": "compute", "resource": "servers", "limit": 1}},
    "SetPassword": {"password": "long enough"},
    "AddRouterInterface": {"subnet_id": HOST},
    "RemoveRouterInterface": {"subnet_id": HOST},
    "CreateSecurityGroupRule": {"protocol": "tcp"},
    "SetAllocations": {"consumers": [{"id": HOST}]},
    "ClaimAllocations": {"candidates": [{"allocations": [{"provider_id": HOST, "resources": {"VCPU": 1}}]}]},
}
# What is done once without it, and why. The list may only shrink.
KNOWN_OTHERWISE = {
    "/weft.block.v1.AttachmentService/ReserveAttachment": "the caller names the attachment",
    "/weft.block.v1.AttachmentService/ReleaseAttachment": "the caller names the attachment",
    "/weft.compute.v1.HostService/RegisterHost": "a host may say what it is as often as it likes",
    "/weft.identity.v1.TotpService/ConfirmTotp": "what is confirmed is so",
}


def caller(mesh: Mesh, persona: str) -> Caller:
    """As services see them."""
    if persona == "service":
        return Caller(Kind.SERVICE, service="compute")
    if persona == "node":
        return Caller(Kind.NODE, host_id=HOST)
    claims: dict[str, Any] = msgspec.json.decode(
        base64.urlsafe_b64decode(mesh.tokens[persona].split(".")[1] + "==")
    )
    return Caller(Kind.USER, user_id=claims["sub"], project_id=claims.get("prj") or "")


async def said(mesh: Mesh, method: Method, *, taken_back: bool) -> str:
    """What is answered to a request, which its sender has taken back before or not."""
    persona = next(each for each in WHO if not expected(method, each))
    service, request = method.service.split(".")[1], valid(method.request_type)
    request.request_id = ids.new()
    for name, value in NEEDED.get(method.name, {}).items():
        request.ClearField(name)
        request.MergeFrom(method.request_type(**{name: value}))
    if taken_back:
        told = (caller(mesh, persona), method.request_type, request.request_id)
        await mesh.runtimes[service].database.write(replay.take_back, *told)
    async with mesh.client(service, persona) as client:
        return await outcome(client, method, request)


async def test_every_rpc_with_a_request_id_looks_for_it_first(mesh: Mesh) -> None:
    answers = {method.path: await said(mesh, method, taken_back=True) for method in REPEATED}
    others = {path: answer for path, answer in answers.items() if answer != "CANCELLED"}
    assert {path: answer for path, answer in others.items() if path not in KNOWN_OTHERWISE} == {}
    assert others.keys() == KNOWN_OTHERWISE.keys()
    assert len(answers) > 140
    create = next(method for method in REPEATED if method.request_type is CreateImageRequest)
    assert await said(mesh, create, taken_back=False) == "answered"
