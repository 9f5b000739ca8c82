"""Endpoints, and the catalogue that they make."""

from collections.abc import Iterable
from typing import Any

from gateway.openstack import versions
from gateway.openstack.call import Call, field
from gateway.openstack.identity.documents import changes, linked, listing
from mesh.lists import walk
from weft.identity.v1 import catalog_service_pb2 as pb
from weft.identity.v1.catalog_service_pb2_grpc import CatalogServiceStub
from weft.identity.v1.resources_pb2 import Endpoint

_CHANGEABLE = {"url": str, "enabled": bool, "region": str, "interface": str, "service_id": str}


async def version(call: Call) -> dict[str, Any]:
    """GET /v3."""
    return {"version": versions.keystone(call)}


def grouped(found: Iterable[Endpoint]) -> list[dict[str, Any]]:
    """Endpoints as a token's catalogue."""
    services: dict[str, dict[str, Any]] = {}
    for each in found:
        said = {"id": each.service_id, "type": each.service_type, "name": each.service_name}
        service = services.setdefault(each.service_id, {**said, "endpoints": []})
        service["endpoints"].append(_short(each))
    return list(services.values())


async def enabled(call: Call) -> list[Endpoint]:
    """Every endpoint of the catalogue."""
    return [each for each in await _all(call, pb.ListEndpointsRequest()) if each.enabled]


async def of_token(call: Call) -> dict[str, Any]:
    """GET /v3/auth/catalog."""
    return listing(call, "catalog", grouped(await enabled(call)))


async def endpoints(call: Call) -> dict[str, Any]:
    """GET /v3/endpoints."""
    request = pb.ListEndpointsRequest(
        region=call.query.get("region_id", ""),
        interface=call.query.get("interface", ""),
        service_id=call.query.get("service_id", ""),
    )
    return listing(call, "endpoints", [_document(call, each) for each in await _all(call, request)])


async def endpoint(call: Call) -> dict[str, Any]:
    """GET /v3/endpoints/{id}."""
    found = await call.stub(CatalogServiceStub).GetEndpoint(pb.GetEndpointRequest(id=call.params["id"]))
    return {"endpoint": _document(call, found)}


async def create(call: Call) -> dict[str, Any]:
    """POST /v3/endpoints; a region that is not known is made."""
    body = await call.body("endpoint")
    made = await call.stub(CatalogServiceStub).CreateEndpoint(
        pb.CreateEndpointRequest(
            region=field(body, "region_id", str, "") or field(body, "region", str),
            service_id=field(body, "service_id", str),
            interface=field(body, "interface", str),
            url=field(body, "url", str),
            disabled=not field(body, "enabled", bool, True),
        )
    )
    return {"endpoint": _document(call, made)}


async def update(call: Call) -> dict[str, Any]:
    """PATCH /v3/endpoints/{id}; `region_id` is the region's name."""
    body = await call.body("endpoint")
    if "region_id" in body:
        body = {**body, "region": body["region_id"]}
    message, mask = changes(body, Endpoint(), _CHANGEABLE)
    if not mask.paths:
        return await endpoint(call)
    changed = await call.stub(CatalogServiceStub).UpdateEndpoint(
        pb.UpdateEndpointRequest(id=call.params["id"], endpoint=message, update_mask=mask)
    )
    return {"endpoint": _document(call, changed)}


async def delete(call: Call) -> None:
    """DELETE /v3/endpoints/{id}."""
    await call.stub(CatalogServiceStub).DeleteEndpoint(pb.DeleteEndpointRequest(id=call.params["id"]))


async def _all(call: Call, request: pb.ListEndpointsRequest) -> list[Endpoint]:
    return [each async for each in walk(call.stub(CatalogServiceStub).ListEndpoints, request, "endpoints")]


def _short(each: Endpoint) -> dict[str, Any]:
    return {
        "id": each.id,
        "interface": each.interface,
        "region": each.region,
        "region_id": each.region,
        "url": each.url,
    }


def _document(call: Call, each: Endpoint) -> dict[str, Any]:
    more = {"service_id": each.service_id, "enabled": each.enabled}
    return linked(call, "endpoints", {**_short(each), **more})
