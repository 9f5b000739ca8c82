"""Volumes and their metadata."""

from collections.abc import Mapping
from typing import Any

from google.protobuf.field_mask_pb2 import FieldMask

from gateway.openstack import call as body
from gateway.openstack.call import Call
from gateway.openstack.dialect import Route
from gateway.openstack.faults import Refusal
from gateway.openstack.keyed import Keyed, texts
from gateway.openstack.limits import whole
from gateway.openstack.listing import fitting, listing, wanted
from gateway.openstack.lists import each
from gateway.openstack.volume import filters, pools, types, views
from mesh.lists import walk
from weft.block.v1 import resources_pb2
from weft.block.v1 import volume_service_pb2 as pb
from weft.block.v1.volume_service_pb2_grpc import VolumeServiceStub

_SORTS = {
    name: name for name in ("id", "name", "size", "status", "created_at", "updated_at", "availability_zone")
} | {"bootable": "bootable", "display_name": "name"}
_CREATE = {
    *("name", "display_name", "description", "display_description", "size", "metadata", "volume_type"),
    *("availability_zone", "snapshot_id", "source_volid", "imageRef", "image_id"),
}
# What clients send unasked, and what of it means nothing.
_NOTHING: dict[str, tuple[Any, ...]] = {
    "multiattach": (None, False),
    "consistencygroup_id": (None,),
    "source_replica": (None,),
    "group_id": (None,),
    "backup_id": (None,),
}
NAMES = {"name": "name", "display_name": "name"}
NAMES |= {"description": "description", "display_description": "description"}


async def index(call: Call) -> dict[str, Any]:
    """GET /volumes."""
    return await _listed(call, views.brief)


async def detail(call: Call) -> dict[str, Any]:
    """GET /volumes/detail."""
    return await _listed(call, None)


async def _listed(call: Call, brief: Any) -> dict[str, Any]:
    given = wanted(call, filters.VOLUMES)
    if call.flag("all_tenants"):
        await call.administer()
    kinds = await types.names(call)
    rpc = call.stub(VolumeServiceStub).ListVolumes
    there = [one async for one in walk(rpc, filters.request(call, given), "volumes")]
    hosts = await pools.names(call, there)
    found = fitting(each(there), lambda one: filters.fits(one, given, kinds))
    shown = lambda one: views.volume(call, one, kinds, hosts)  # noqa: E731
    document = await listing(call, found, "volumes", shown, brief, _SORTS, lost=404)
    if call.microversion >= (3, 45) and call.flag("with_count"):
        document["count"] = len(document["volumes"])
    return document


async def summary(call: Call) -> dict[str, Any]:
    """GET /volumes/summary."""
    if call.flag("all_tenants"):
        await call.administer()
    count, size = 0, 0
    async for one in walk(call.stub(VolumeServiceStub).ListVolumes, pb.ListVolumesRequest(), "volumes"):
        count, size = count + 1, size + one.size_gib
    document: dict[str, Any] = {"total_count": count, "total_size": size}
    return {"volume-summary": document | ({"metadata": {}} if call.microversion >= (3, 36) else {})}


async def show(call: Call) -> dict[str, Any]:
    """GET /volumes/{id}."""
    return await _document(call, await _get(call))


async def create(call: Call) -> dict[str, Any]:
    """POST /volumes."""
    document = await call.body()
    body.refuse_unknown(document, {"volume", "OS-SCH-HNT:scheduler_hints"})
    if document.get("OS-SCH-HNT:scheduler_hints"):
        raise Refusal(400, "Volumes are not placed by scheduler hints.")
    given = body.field(document, "volume", dict)
    given = {name: value for name, value in given.items() if value not in _NOTHING.get(name, ())}
    body.refuse_unknown(given, _CREATE)
    request = pb.CreateVolumeRequest(
        **names(given),
        size_gib=whole(given["size"], "size", 1) if given.get("size") is not None else 0,
        metadata=texts(body.field(given, "metadata", dict, {}), "metadata"),
        volume_type_id=await types.id_of(call, body.field(given, "volume_type", str, "")),
        availability_zone=filters.zone(body.field(given, "availability_zone", str, "")),
        **source(given),
    )
    return await _made(call, await call.stub(VolumeServiceStub).CreateVolume(request))


def source(given: Mapping[str, Any]) -> dict[str, str]:
    """What a new volume begins with, in the contract's words. Raises Refusal."""
    sources = {
        "snapshot_id": body.field(given, "snapshot_id", str, ""),
        "source_volume_id": body.field(given, "source_volid", str, ""),
        "image_id": _either(given, "imageRef", "image_id"),
    }
    named = {name: value for name, value in sources.items() if value}
    if len(named) > 1:
        raise Refusal(400, "A volume begins with a snapshot, a volume or an image, not with several.")
    return named


def _either(given: Mapping[str, Any], name: str, old: str) -> str:
    return body.field(given, name, str, "") or body.field(given, old, str, "")


def names(given: Mapping[str, Any]) -> dict[str, str]:
    """Name and description as a body has them, each under either of its names, by the contract's."""
    return {NAMES[name]: body.field(given, name, str, "") for name in given if name in NAMES}


async def update(call: Call) -> dict[str, Any]:
    """PUT /volumes/{id}: names and metadata."""
    given = await call.body("volume")
    body.refuse_unknown(given, {*NAMES, "metadata"})
    values: dict[str, Any] = names(given)
    if "metadata" in given:
        values["metadata"] = texts(body.field(given, "metadata", dict, {}), "metadata")
    if not values:
        raise Refusal(400, "The body changes nothing.")
    return await _made(call, await _update(call, values))


async def delete(call: Call) -> None:
    """DELETE /volumes/{id}."""
    request = pb.DeleteVolumeRequest(id=call.params["id"], with_snapshots=call.flag("cascade") or False)
    await call.stub(VolumeServiceStub).DeleteVolume(request)


async def _document(call: Call, volume: resources_pb2.Volume) -> dict[str, Any]:
    kinds, hosts = await types.names(call), await pools.names(call, [volume])
    return {"volume": views.volume(call, volume, kinds, hosts)}


async def _made(call: Call, volume: resources_pb2.Volume) -> dict[str, Any]:
    return {"volume": views.made((await _document(call, volume))["volume"])}


async def _get(call: Call) -> resources_pb2.Volume:
    return await call.stub(VolumeServiceStub).GetVolume(pb.GetVolumeRequest(id=call.params["id"]))


async def _update(call: Call, values: dict[str, Any], revision: int = 0) -> resources_pb2.Volume:
    request = pb.UpdateVolumeRequest(
        id=call.params["id"],
        volume=resources_pb2.Volume(**values),
        update_mask=FieldMask(paths=list(values)),
        expected_revision=revision,
    )
    return await call.stub(VolumeServiceStub).UpdateVolume(request)


ROUTES = (
    Route("GET", "/v3/volumes", index),
    Route("GET", "/v3/volumes/detail", detail),
    Route("GET", "/v3/volumes/summary", summary, since=(3, 12)),
    Route("POST", "/v3/volumes", create, 202),
    Route("GET", "/v3/volumes/{id}", show, administers=True),
    Route("PUT", "/v3/volumes/{id}", update, administers=True),
    Route("DELETE", "/v3/volumes/{id}", delete, 202, administers=True),
    *Keyed("/v3/volumes/{id}/metadata", "metadata", "meta", _get, _update).routes(),
)
