"""Flavors, their extra specs, and who sees the private ones."""

from collections.abc import Mapping
from typing import Any

from google.protobuf.field_mask_pb2 import FieldMask

from gateway.openstack import call as body
from gateway.openstack.call import Call
from gateway.openstack.compute.flavor_views import flavor
from gateway.openstack.dialect import Route
from gateway.openstack.faults import Refusal
from gateway.openstack.keyed import Keyed
from gateway.openstack.limits import whole
from gateway.openstack.listing import fitting, listing
from mesh.lists import walk
from weft.compute.v1 import flavor_service_pb2 as pb
from weft.compute.v1.flavor_service_pb2_grpc import FlavorServiceStub
from weft.compute.v1.resources_pb2 import Flavor

_SORTS = {"flavorid": "id", "id": "id", "name": "name", "memory_mb": "ram", "vcpus": "vcpus"}
_SORTS |= {"root_gb": "disk", "created_at": "id"}
_PUBLIC = "os-flavor-access:is_public"
_CREATE = {
    *("name", "ram", "vcpus", "disk", "id", "swap", "rxtx_factor", "OS-FLV-EXT-DATA:ephemeral"),
    _PUBLIC,
}


async def index(call: Call) -> dict[str, Any]:
    """GET /flavors."""
    shown = {"id", "name", "links"} | ({"description"} if call.microversion >= (2, 55) else set())
    return await _listed(call, lambda one: {name: one[name] for name in one if name in shown})


async def detail(call: Call) -> dict[str, Any]:
    """GET /flavors/detail."""
    return await _listed(call, None)


async def _listed(call: Call, brief: Any) -> dict[str, Any]:
    request = pb.ListFlavorsRequest(
        min_memory_mib=whole(call.query.get("minRam", "0"), "minRam", 0),
        min_disk_gib=whole(call.query.get("minDisk", "0"), "minDisk", 0),
    )
    public = None if call.query.get("is_public", "").lower() == "none" else call.flag("is_public")
    if "is_public" in call.query:
        await call.administer()
    found = walk(call.stub(FlavorServiceStub).ListFlavors, request, "flavors")
    fits = fitting(found, lambda one: public in (None, one.public))
    return await listing(call, fits, "flavors", lambda one: flavor(call, one), brief, _SORTS, "flavorid")


async def show(call: Call) -> dict[str, Any]:
    """GET /flavors/{id}."""
    return {"flavor": flavor(call, await _get(call))}


async def create(call: Call) -> dict[str, Any]:
    """POST /flavors."""
    given = await call.body("flavor")
    known = _CREATE | ({"description"} if call.microversion >= (2, 55) else set())
    body.refuse_unknown(given, known)
    if whole(given.get("swap") or 0, "swap", 0):
        raise Refusal(501, "Flavors have no swap disk: give the guest a swap file.")
    if float(given.get("rxtx_factor") or 1.0) != 1.0:
        raise Refusal(501, "Flavors do not bound the network.")
    id = body.field(given, "id", str, "") if not isinstance(given.get("id"), int) else str(given["id"])
    request = pb.CreateFlavorRequest(
        id="" if id == "auto" else id,
        name=body.field(given, "name", str),
        memory_mib=_size(given, "ram", 1),
        vcpus=_size(given, "vcpus", 1),
        disk_gib=_size(given, "disk", 0),
        ephemeral_gib=whole(given.get("OS-FLV-EXT-DATA:ephemeral") or 0, "ephemeral", 0),
        private=not body.truth(given.get(_PUBLIC, True), _PUBLIC),
        description=body.field(given, "description", str, ""),
    )
    return {"flavor": flavor(call, await call.stub(FlavorServiceStub).CreateFlavor(request))}


def _size(given: Mapping[str, Any], name: str, least: int) -> int:
    if isinstance(given.get(name), str | int) and not isinstance(given[name], bool):
        return whole(given[name], name, least)
    raise Refusal(400, f"{name} must be a whole number.")


async def update(call: Call) -> dict[str, Any]:
    """PUT /flavors/{id}: its description."""
    given = await call.body("flavor")
    body.refuse_unknown(given, {"description"})
    changed = await _update(call, {"description": body.field(given, "description", str, "")})
    return {"flavor": flavor(call, changed)}


async def delete(call: Call) -> None:
    """DELETE /flavors/{id}."""
    await call.stub(FlavorServiceStub).DeleteFlavor(pb.DeleteFlavorRequest(id=call.params["id"]))


async def access(call: Call) -> dict[str, Any]:
    """GET /flavors/{id}/os-flavor-access: who sees a private flavor."""
    if (await _get(call)).public:
        raise Refusal(404, "Everybody sees a public flavor.")
    return await _access(call)


async def change_access(call: Call) -> dict[str, Any]:
    """POST /flavors/{id}/action: let a project see a flavor, or no longer."""
    document = await call.body()
    (name,) = document if len(document) == 1 else ("",)
    if name not in ("addTenantAccess", "removeTenantAccess"):
        raise Refusal(400, "The body must name addTenantAccess or removeTenantAccess.")
    tenant = body.field(document[name], "tenant", str)
    there = [one["tenant_id"] for one in (await _access(call))["flavor_access"]]
    if name == "addTenantAccess":
        if tenant in there:
            raise Refusal(409, f"The project {tenant} sees the flavor already.")
        request = pb.AddFlavorAccessRequest(id=call.params["id"], project_id=tenant)
        await call.stub(FlavorServiceStub).AddFlavorAccess(request)
    else:
        if tenant not in there:
            raise Refusal(404, f"The project {tenant} does not see the flavor.")
        request = pb.RemoveFlavorAccessRequest(id=call.params["id"], project_id=tenant)
        await call.stub(FlavorServiceStub).RemoveFlavorAccess(request)
    return await _access(call)


async def _access(call: Call) -> dict[str, Any]:
    id, rpc = call.params["id"], call.stub(FlavorServiceStub).ListFlavorAccess
    found = walk(rpc, pb.ListFlavorAccessRequest(id=id), "project_ids")
    return {"flavor_access": [{"flavor_id": id, "tenant_id": each} async for each in found]}


async def _get(call: Call) -> Flavor:
    return await call.stub(FlavorServiceStub).GetFlavor(pb.GetFlavorRequest(id=call.params["id"]))


async def _update(call: Call, values: dict[str, Any], revision: int = 0) -> Flavor:
    request = pb.UpdateFlavorRequest(
        id=call.params["id"],
        flavor=Flavor(**values),
        update_mask=FieldMask(paths=list(values)),
        expected_revision=revision,
    )
    return await call.stub(FlavorServiceStub).UpdateFlavor(request)


ROUTES = (
    Route("GET", "/v2.1/flavors", index),
    Route("GET", "/v2.1/flavors/detail", detail),
    Route("POST", "/v2.1/flavors", create, administers=True),
    Route("GET", "/v2.1/flavors/{id}", show, administers=True),
    Route("PUT", "/v2.1/flavors/{id}", update, administers=True, since=(2, 55)),
    Route("DELETE", "/v2.1/flavors/{id}", delete, 202, administers=True),
    Route("GET", "/v2.1/flavors/{id}/os-flavor-access", access, administers=True),
    Route("POST", "/v2.1/flavors/{id}/action", change_access, administers=True),
    *Keyed(
        "/v2.1/flavors/{id}/os-extra_specs",
        "extra_specs",
        "",
        _get,
        _update,
        replaces=False,
        administers=True,
    ).routes(),
)
