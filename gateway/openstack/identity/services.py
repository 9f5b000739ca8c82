"""Services of the catalogue."""

from typing import Any

from gateway.openstack.call import Call, field
from gateway.openstack.identity.documents import changes, linked, listing
from mesh.lists import walk
from weft.identity.v1 import catalog_service_pb2 as pb
from weft.identity.v1.catalog_resources_pb2 import Service
from weft.identity.v1.catalog_service_pb2_grpc import CatalogServiceStub

_CHANGEABLE = {"type": str, "name": str, "description": str, "enabled": bool}


def _document(call: Call, each: Service) -> dict[str, Any]:
    return linked(call, "services", {name: getattr(each, name) for name in ("id", *_CHANGEABLE)})


async def listed(call: Call) -> dict[str, Any]:
    """GET /v3/services."""
    request = pb.ListServicesRequest(name=call.query.get("name", ""), type=call.query.get("type", ""))
    found = walk(call.stub(CatalogServiceStub).ListServices, request, "services")
    return listing(call, "services", [_document(call, each) async for each in found])


async def show(call: Call) -> dict[str, Any]:
    """GET /v3/services/{id}."""
    found = await call.stub(CatalogServiceStub).GetService(pb.GetServiceRequest(id=call.params["id"]))
    return {"service": _document(call, found)}


async def create(call: Call) -> dict[str, Any]:
    """POST /v3/services."""
    body = await call.body("service")
    made = await call.stub(CatalogServiceStub).CreateService(
        pb.CreateServiceRequest(
            type=field(body, "type", str),
            name=field(body, "name", str, ""),
            description=field(body, "description", str, ""),
            disabled=not field(body, "enabled", bool, True),
        )
    )
    return {"service": _document(call, made)}


async def update(call: Call) -> dict[str, Any]:
    """PATCH /v3/services/{id}."""
    message, mask = changes(await call.body("service"), Service(), _CHANGEABLE)
    if not mask.paths:
        return await show(call)
    request = pb.UpdateServiceRequest(id=call.params["id"], service=message, update_mask=mask)
    return {"service": _document(call, await call.stub(CatalogServiceStub).UpdateService(request))}


async def delete(call: Call) -> None:
    """DELETE /v3/services/{id}: with its endpoints."""
    await call.stub(CatalogServiceStub).DeleteService(pb.DeleteServiceRequest(id=call.params["id"]))
