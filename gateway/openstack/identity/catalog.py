"""Services, regions and endpoints. The contract keeps endpoints alone; the other two are read off them."""

import uuid
from collections.abc import Iterable
from typing import Any

from gateway.openstack import versions
from gateway.openstack.call import Call, field
from gateway.openstack.faults import Refusal
from gateway.openstack.identity.documents import changes, linked, listing
from gateway.openstack.lists import walk
from weft.identity.v1 import catalog_service_pb2 as pb
from weft.identity.v1.catalog_service_pb2_grpc import CatalogServiceStub
from weft.identity.v1.resources_pb2 import Endpoint

# A service has no row of its own: its id follows from its type and name.
_NAMESPACE = uuid.UUID("7c1e2d0c-4e0c-5f8e-9a51-1d0b8f6f3c55")


async def version(call: Call) -> dict[str, Any]:
    """GET /v3."""
    return {"version": versions.keystone(call)}


def grouped(found: Iterable[Endpoint]) -> list[dict[str, Any]]:
    """Endpoints as a token's catalogue."""
    services: dict[str, dict[str, Any]] = {}
    for each in found:
        service = services.setdefault(_service_id(each), {**_service(each), "endpoints": []})
        service["endpoints"].append(_short(each))
    return list(services.values())


async def enabled(call: Call) -> list[Endpoint]:
    """Every endpoint of the catalogue."""
    return [each for each in await _all(call, pb.ListEndpointsRequest()) if each.enabled]


async def of_token(call: Call) -> dict[str, Any]:
    """GET /v3/auth/catalog."""
    return listing(call, "catalog", grouped(await enabled(call)))


async def services(call: Call) -> dict[str, Any]:
    """GET /v3/services."""
    wanted = {"type": call.query.get("type"), "name": call.query.get("name")}
    found = [
        each
        for each in await _services(call)
        if all(value in (None, each[key]) for key, value in wanted.items())
    ]
    return listing(call, "services", [linked(call, "services", each) for each in found])


async def service(call: Call) -> dict[str, Any]:
    """GET /v3/services/{id}."""
    return {"service": linked(call, "services", await _known_service(call, call.params["id"]))}


async def regions(call: Call) -> dict[str, Any]:
    """GET /v3/regions."""
    names = sorted({each.region for each in await _all(call, pb.ListEndpointsRequest())})
    return listing(call, "regions", [_region(call, name) for name in names])


async def region(call: Call) -> dict[str, Any]:
    """GET /v3/regions/{name}."""
    name = call.params["name"]
    if not await _all(call, pb.ListEndpointsRequest(region=name)):
        raise Refusal(404, f"Could not find region: {name}.")
    return {"region": _region(call, name)}


async def endpoints(call: Call) -> dict[str, Any]:
    """GET /v3/endpoints."""
    request = pb.ListEndpointsRequest(
        region=call.query.get("region_id", ""), interface=call.query.get("interface", "")
    )
    wanted = call.query.get("service_id")
    found = [each for each in await _all(call, request) if wanted in (None, _service_id(each))]
    return listing(call, "endpoints", [_document(call, each) for each in found])


async def endpoint(call: Call) -> dict[str, Any]:
    """GET /v3/endpoints/{id}."""
    found = await call.stub(CatalogServiceStub).GetEndpoint(pb.GetEndpointRequest(id=call.params["id"]))
    return {"endpoint": _document(call, found)}


async def create(call: Call) -> dict[str, Any]:
    """POST /v3/endpoints; a region that is not known is made."""
    body = await call.body("endpoint")
    if field(body, "enabled", bool, True) is False:
        raise Refusal(501, "An endpoint begins enabled; disable it by a change.")
    of = await _known_service(call, field(body, "service_id", str))
    made = await call.stub(CatalogServiceStub).CreateEndpoint(
        pb.CreateEndpointRequest(
            region=field(body, "region_id", str, "") or field(body, "region", str),
            service_type=of["type"],
            service_name=of["name"],
            interface=field(body, "interface", str),
            url=field(body, "url", str),
        )
    )
    return {"endpoint": _document(call, made)}


async def update(call: Call) -> dict[str, Any]:
    """PATCH /v3/endpoints/{id}: its URL, and whether it is enabled."""
    body = await call.body("endpoint")
    if set(body) - {"url", "enabled", "id"}:
        raise Refusal(501, "Only url and enabled of an endpoint can change.")
    message, mask = changes(body, Endpoint(), {"url": str, "enabled": bool})
    changed = await call.stub(CatalogServiceStub).UpdateEndpoint(
        pb.UpdateEndpointRequest(id=call.params["id"], endpoint=message, update_mask=mask)
    )
    return {"endpoint": _document(call, changed)}


async def delete(call: Call) -> None:
    """DELETE /v3/endpoints/{id}."""
    await call.stub(CatalogServiceStub).DeleteEndpoint(pb.DeleteEndpointRequest(id=call.params["id"]))


async def _all(call: Call, request: pb.ListEndpointsRequest) -> list[Endpoint]:
    return [each async for each in walk(call.stub(CatalogServiceStub).ListEndpoints, request, "endpoints")]


async def _services(call: Call) -> list[dict[str, Any]]:
    found = await _all(call, pb.ListEndpointsRequest())
    kinds = {_service_id(each): _service(each) for each in found}
    return [{**each, "enabled": True, "description": ""} for each in kinds.values()]


async def _known_service(call: Call, id: str) -> dict[str, Any]:
    for each in await _services(call):
        if each["id"] == id:
            return each
    raise Refusal(404, f"Could not find service: {id}.")


def _service_id(each: Endpoint) -> str:
    return str(uuid.uuid5(_NAMESPACE, f"{each.service_type}\0{each.service_name}"))


def _service(each: Endpoint) -> dict[str, Any]:
    return {"id": _service_id(each), "type": each.service_type, "name": each.service_name}


def _short(each: Endpoint) -> dict[str, Any]:
    return {
        "id": each.id,
        "interface": each.interface,
        "region": each.region,
        "region_id": each.region,
        "url": each.url,
    }


def _document(call: Call, each: Endpoint) -> dict[str, Any]:
    more = {"service_id": _service_id(each), "enabled": each.enabled}
    return linked(call, "endpoints", {**_short(each), **more})


def _region(call: Call, name: str) -> dict[str, Any]:
    return linked(call, "regions", {"id": name, "description": "", "parent_region_id": None})
