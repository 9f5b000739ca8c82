"""Every RPC by every kind of caller: what the contract says is what a real server does."""

from collections.abc import AsyncIterator
from typing import Any

import pytest
from google.protobuf import descriptor_pb2

from gateway.edge.contracts import DESCRIPTORS
from mesh import contract
from mesh.channel import Client
from mesh.contract import Method
from mesh.errors import CloudError
from services.__main__ import SERVICES
from tests.access.conftest import Mesh
from weft.options.v1 import access_pb2

pytestmark = pytest.mark.asyncio(loop_scope="package")

PEOPLE = {
    "system admin": ("system", "admin"),
    "project admin": ("project", "admin"),
    "project manager": ("project", "manager"),
    "project member": ("project", "member"),
    "project reader": ("project", "reader"),
    "another project's admin": ("project", "admin"),
    "domain manager": ("domain", "manager"),
    "another domain's member": ("project", "member"),
    "unscoped": ("none", ""),
}
PERSONAS = (*PEOPLE, "anonymous", "service", "node")
ORDER = ("", "reader", "member", "manager", "admin")
REFUSALS = ("UNAUTHENTICATED", "AUDIENCE_REFUSED", "PERMISSION_DENIED")
SCOPES = {
    access_pb2.SCOPE_PROJECT: ("project", "system"),
    access_pb2.SCOPE_DOMAIN: ("domain", "system"),
    access_pb2.SCOPE_SYSTEM: ("system",),
    access_pb2.SCOPE_ANY: ("none", "project", "domain", "system"),
}


# What a contract cannot say, with the reason. This list may only shrink.
BEYOND_CONTRACT = {
    ("service", "/weft.identity.v1.TokenService/GetToken"): "UNAUTHENTICATED",  # a service has no token
}


def all_methods() -> list[Method]:
    """Every RPC of every service of the control plane."""
    files = descriptor_pb2.FileDescriptorSet.FromString(DESCRIPTORS.read_bytes()).file
    return [
        method
        for file in files
        if file.package.startswith("weft.") and file.package.split(".")[1] in SERVICES
        for service in file.service
        for method in contract.methods(f"{file.package}.{service.name}")
    ]


def expected(method: Method, persona: str) -> str:
    """How the contract answers: a reason, or "" for being let in."""
    return BEYOND_CONTRACT.get((persona, method.path), by_contract(method, persona))


def by_contract(method: Method, persona: str) -> str:
    """The same, without exceptions."""
    rule = method.access
    assert rule is not None
    if rule.audience == access_pb2.AUDIENCE_PUBLIC:
        return ""
    if persona == "anonymous":
        return "UNAUTHENTICATED"
    if persona == "service":
        return ""
    if persona == "node":
        return "" if rule.audience == access_pb2.AUDIENCE_NODE else "AUDIENCE_REFUSED"
    if rule.audience != access_pb2.AUDIENCE_USER:
        return "AUDIENCE_REFUSED"
    scope, role = PEOPLE[persona]
    if scope not in SCOPES[rule.scope] or ORDER.index(role) < rule.role:
        return "PERMISSION_DENIED"
    return ""


def harmless(method: Method) -> Any:
    """A request that is refused as invalid, or reads, once the caller is let in."""
    request = method.request_type()
    if method.idempotent:
        return request
    for name, value in (("id", "?"), ("token_id", "?" * 100), ("request_id", "?"), ("page_size", -1)):
        if name in request.DESCRIPTOR.fields_by_name:
            setattr(request, name, value)
    return request


async def answer(client: Client, method: Method) -> str:
    """The reason of the refusal, or "" when the caller was let in."""
    codec = {
        "request_serializer": method.request_type.SerializeToString,
        "response_deserializer": method.response_type.FromString,
    }
    shape = "_".join("stream" if s else "unary" for s in (method.client_streaming, method.server_streaming))
    call = client.stub(lambda channel: getattr(channel, shape)(method.path, **codec))
    request = harmless(method)
    try:
        if method.client_streaming:
            await call(_stream_of(request), timeout=5)
        elif method.server_streaming:
            await anext(call(request, timeout=0.3), None)
        else:
            await call(request, timeout=10)
    except CloudError as error:
        return error.reason if error.reason in REFUSALS else ""
    return ""


async def _stream_of(request: Any) -> AsyncIterator[Any]:
    yield request


@pytest.mark.parametrize("persona", PERSONAS)
async def test_the_contract_and_nothing_else_decides_who_may_call(mesh: Mesh, persona: str) -> None:
    wrong, let_in = [], 0
    for name in SERVICES:
        async with mesh.client(name, persona) as client:
            for method in (m for m in all_methods() if m.service.startswith(f"weft.{name}.")):
                got, wanted = await answer(client, method), expected(method, persona)
                let_in += not got
                if got != wanted:
                    wrong.append(f"{method.path}: {got or 'let in'} instead of {wanted or 'let in'}")
    assert wrong == []
    assert let_in >= 2  # login and keys are for everybody: the walk really called


async def test_the_exceptions_are_no_more_and_each_still_is_one() -> None:
    paths = {method.path: method for method in all_methods()}
    assert len(BEYOND_CONTRACT) <= 1  # to be made smaller with the list, and never larger
    for (persona, path), reason in BEYOND_CONTRACT.items():
        assert by_contract(paths[path], persona) != reason


async def test_the_walk_is_over_every_rpc_of_every_service() -> None:
    assert {method.service.split(".")[1] for method in all_methods()} == set(SERVICES)
