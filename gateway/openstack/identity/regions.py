"""Regions. Keystone's id of one is its name here."""

import uuid
from typing import Any

from google.protobuf.field_mask_pb2 import FieldMask

from gateway.openstack.call import Call, field
from gateway.openstack.faults import Refusal
from gateway.openstack.identity.documents import linked, listing
from mesh.lists import walk
from weft.identity.v1 import region_service_pb2 as pb
from weft.identity.v1.catalog_resources_pb2 import Region
from weft.identity.v1.region_service_pb2_grpc import RegionServiceStub


async def listed(call: Call) -> dict[str, Any]:
    """GET /v3/regions."""
    found = await _all(call)
    above = call.query.get("parent_region_id")
    shown = [_document(call, each, found) for each in found]
    return listing(call, "regions", [each for each in shown if above in (None, each["parent_region_id"])])


async def show(call: Call) -> dict[str, Any]:
    """GET /v3/regions/{name}."""
    found = await _all(call)
    return {"region": _document(call, _named(found, call.params["name"]), found)}


async def create(call: Call) -> dict[str, Any]:
    """POST /v3/regions, and PUT /v3/regions/{name}."""
    body, found = await call.body("region"), await _all(call)
    above = field(body, "parent_region_id", str, "")
    made = await call.stub(RegionServiceStub).CreateRegion(
        pb.CreateRegionRequest(
            name=call.params.get("name") or field(body, "id", str, "") or uuid.uuid4().hex,
            description=field(body, "description", str, ""),
            parent_id=_named(found, above).id if above else "",
        )
    )
    return {"region": _document(call, made, found)}


async def update(call: Call) -> dict[str, Any]:
    """PATCH /v3/regions/{name}."""
    body, found = await call.body("region"), await _all(call)
    region, changed, paths = _named(found, call.params["name"]), Region(), []
    if "description" in body:
        changed.description = field(body, "description", str, "")
        paths.append("description")
    if "parent_region_id" in body:
        above = field(body, "parent_region_id", str, "")
        changed.parent_id = _named(found, above).id if above else ""
        paths.append("parent_id")
    if paths:
        request = pb.UpdateRegionRequest(id=region.id, region=changed, update_mask=FieldMask(paths=paths))
        region = await call.stub(RegionServiceStub).UpdateRegion(request)
    return {"region": _document(call, region, found)}


async def delete(call: Call) -> None:
    """DELETE /v3/regions/{name}."""
    region = _named(await _all(call), call.params["name"])
    await call.stub(RegionServiceStub).DeleteRegion(pb.DeleteRegionRequest(id=region.id))


async def _all(call: Call) -> list[Region]:
    rpc = call.stub(RegionServiceStub).ListRegions
    return [each async for each in walk(rpc, pb.ListRegionsRequest(), "regions")]


def _named(found: list[Region], name: str) -> Region:
    for each in found:
        if each.name == name:
            return each
    raise Refusal(404, f"Could not find region: {name}.")


def _document(call: Call, region: Region, found: list[Region]) -> dict[str, Any]:
    above = next((each.name for each in found if each.id == region.parent_id), None)
    said = {"id": region.name, "description": region.description, "parent_region_id": above}
    return linked(call, "regions", said)
