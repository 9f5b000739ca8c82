"""Domains."""

from typing import Any

from gateway.openstack.call import Call, field
from gateway.openstack.faults import Refusal
from gateway.openstack.identity.documents import changes, linked, listing
from mesh.lists import walk
from weft.identity.v1 import domain_service_pb2 as pb
from weft.identity.v1.domain_service_pb2_grpc import DomainServiceStub
from weft.identity.v1.resources_pb2 import Domain

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


async def show(call: Call) -> dict[str, Any]:
    """GET /v3/domains/{id}."""
    stub, id = call.stub(DomainServiceStub), call.params["id"]
    if id == "default":  # the id that Keystone gives the domain that it makes first; the caller's may be it
        found = await stub.GetDomain(pb.GetDomainRequest(id=call.domain_id))
        if found.name != "Default":
            raise Refusal(404, "Could not find domain: default.")
        return {"domain": _document(call, found)}
    return {"domain": _document(call, await stub.GetDomain(pb.GetDomainRequest(id=id)))}


async def create(call: Call) -> dict[str, Any]:
    """POST /v3/domains."""
    body = await call.body("domain")
    made = await call.stub(DomainServiceStub).CreateDomain(
        pb.CreateDomainRequest(
            name=field(body, "name", str),
            description=field(body, "description", str, ""),
            disabled=not field(body, "enabled", bool, True),
        )
    )
    return {"domain": _document(call, made)}


async def update(call: Call) -> dict[str, Any]:
    """PATCH /v3/domains/{id}."""
    message, mask = changes(await call.body("domain"), Domain(), _CHANGEABLE)
    if not mask.paths:
        return await show(call)
    changed = await call.stub(DomainServiceStub).UpdateDomain(
        pb.UpdateDomainRequest(id=call.params["id"], domain=message, update_mask=mask)
    )
    return {"domain": _document(call, changed)}


async def delete(call: Call) -> None:
    """DELETE /v3/domains/{id}."""
    await call.stub(DomainServiceStub).DeleteDomain(pb.DeleteDomainRequest(id=call.params["id"]))
