"""Domains."""

import re
from typing import Any

from gateway.openstack.call import Call, field
from gateway.openstack.faults import Refusal
from gateway.openstack.identity.documents import changes, linked, listing, short_name
from mesh.lists import walk
from weft.identity.v1 import domain_service_pb2 as pb
from weft.identity.v1.domain_service_pb2_grpc import DomainServiceStub
from weft.identity.v1.resources_pb2 import Domain

_FIRST = "default"
_ID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_CHANGEABLE = {"name": str, "description": str, "enabled": bool}


def _document(call: Call, domain: Domain) -> dict[str, Any]:
    return linked(
        call,
        "domains",
        {
            "id": domain.id,
            "name": domain.name,
            "description": domain.description,
            "enabled": domain.enabled,
            "tags": [],
            "options": {},
        },
    )


async def listed(call: Call) -> dict[str, Any]:
    """GET /v3/domains."""
    request, enabled = pb.ListDomainsRequest(name=call.query.get("name", "")), call.flag("enabled")
    found = walk(call.stub(DomainServiceStub).ListDomains, request, "domains")
    return listing(
        call, "domains", [_document(call, each) async for each in found if enabled in (None, each.enabled)]
    )


async def mine(call: Call) -> dict[str, Any]:
    """GET /v3/auth/domains."""
    found = walk(call.stub(DomainServiceStub).ListMyDomains, pb.ListMyDomainsRequest(), "domains")
    return listing(call, "domains", [_document(call, each) async for each in found])


async def show(call: Call) -> dict[str, Any]:
    """GET /v3/domains/{id}."""
    id = await id_of(call, call.params["id"])
    return {"domain": _document(call, await _get(call, id))}


async def id_of(call: Call, said: str) -> str:
    """The id of the domain that a client says. Raises Refusal for one that no domain has.

    Keystone gives the domain that it makes first the id `default`: that is Default, if the caller is of it.
    """
    if said == _FIRST and (await _get(call, call.domain_id)).name == "Default":
        return call.domain_id
    if said and not _ID.fullmatch(said):
        raise Refusal(404, f"Could not find domain: {said}.")
    return said


async def _get(call: Call, id: str) -> Domain:
    return await call.stub(DomainServiceStub).GetDomain(pb.GetDomainRequest(id=id))


async def create(call: Call) -> dict[str, Any]:
    """POST /v3/domains."""
    body = await call.body("domain")
    made = await call.stub(DomainServiceStub).CreateDomain(
        pb.CreateDomainRequest(
            name=short_name(body),
            description=field(body, "description", str, ""),
            disabled=not field(body, "enabled", bool, True),
        )
    )
    return {"domain": _document(call, made)}


async def update(call: Call) -> dict[str, Any]:
    """PATCH /v3/domains/{id}."""
    body = await call.body("domain")
    if "name" in body:
        short_name(body)
    message, mask = changes(body, Domain(), _CHANGEABLE)
    if not mask.paths:
        return await show(call)
    changed = await call.stub(DomainServiceStub).UpdateDomain(
        pb.UpdateDomainRequest(id=call.params["id"], domain=message, update_mask=mask)
    )
    return {"domain": _document(call, changed)}


async def delete(call: Call) -> None:
    """DELETE /v3/domains/{id}."""
    await call.stub(DomainServiceStub).DeleteDomain(pb.DeleteDomainRequest(id=call.params["id"]))
