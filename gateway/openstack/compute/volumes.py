"""Volumes and snapshots as Nova passed them on, until 2.35."""

from typing import Any

from gateway.openstack import call as body
from gateway.openstack import times
from gateway.openstack.call import Call
from gateway.openstack.compute.past import passing
from gateway.openstack.dialect import Route
from gateway.openstack.keyed import texts
from gateway.openstack.limits import whole
from gateway.openstack.listing import listing
from gateway.openstack.volume import filters, types, volumes
from gateway.openstack.volume.views import ZONE, device, status
from mesh.lists import walk
from weft.block.v1 import resources_pb2, snapshot_service_pb2
from weft.block.v1 import volume_service_pb2 as pb
from weft.block.v1.snapshot_service_pb2_grpc import SnapshotServiceStub
from weft.block.v1.volume_service_pb2_grpc import VolumeServiceStub

_VOLUME = {"display_name", "display_description", "size", "volume_type", "metadata", "snapshot_id"}


def _volume(one: resources_pb2.Volume, names: dict[str, str]) -> dict[str, Any]:
    return {
        "id": one.id,
        "displayName": one.name,
        "displayDescription": one.description,
        "status": status(one.status),
        "size": one.size_gib,
        "createdAt": times.bare(one.created_at),
        "volumeType": names.get(one.volume_type_id, one.volume_type_id),
        "snapshotId": one.snapshot_id or None,
        "availabilityZone": one.availability_zone or ZONE,
        "metadata": dict(one.metadata),
        "attachments": [_attachment(each) for each in one.attachments] or [{}],
    }


def _attachment(one: resources_pb2.Attachment) -> dict[str, Any]:
    named = {"device": device(one)} if one.device else {}
    return {"id": one.volume_id, "volumeId": one.volume_id, "serverId": one.server_id, **named}


def _snapshot(one: resources_pb2.Snapshot) -> dict[str, Any]:
    return {
        "id": one.id,
        "volumeId": one.volume_id,
        "status": status(one.status, resources_pb2.SnapshotStatus),
        "size": one.size_gib,
        "createdAt": times.bare(one.created_at),
        "displayName": one.name,
        "displayDescription": one.description,
    }


async def index(call: Call) -> dict[str, Any]:
    """GET /os-volumes, GET /os-volumes/detail."""
    names, rpc = await types.names(call), call.stub(VolumeServiceStub).ListVolumes
    found = walk(rpc, pb.ListVolumesRequest(), "volumes")
    return _whole(await listing(call, found, "volumes", lambda one: _volume(one, names)))


async def show(call: Call) -> dict[str, Any]:
    """GET /os-volumes/{id}."""
    one = await call.stub(VolumeServiceStub).GetVolume(pb.GetVolumeRequest(id=call.params["id"]))
    return {"volume": _volume(one, await types.names(call))}


async def create(call: Call) -> dict[str, Any]:
    """POST /os-volumes."""
    given = await call.body("volume")
    body.refuse_unknown(given, _VOLUME | {"availability_zone"})
    request = pb.CreateVolumeRequest(
        **volumes.names(given),
        **volumes.source(given),
        size_gib=whole(given.get("size", ""), "size", 1),
        metadata=texts(body.field(given, "metadata", dict, {}), "metadata"),
        volume_type_id=await types.id_of(call, body.field(given, "volume_type", str, "")),
        availability_zone=filters.zone(body.field(given, "availability_zone", str, "")),
    )
    made = await call.stub(VolumeServiceStub).CreateVolume(request)
    return {"volume": _volume(made, await types.names(call))}


async def delete(call: Call) -> None:
    """DELETE /os-volumes/{id}."""
    await call.stub(VolumeServiceStub).DeleteVolume(pb.DeleteVolumeRequest(id=call.params["id"]))


async def snapshots(call: Call) -> dict[str, Any]:
    """GET /os-snapshots, GET /os-snapshots/detail."""
    request, rpc = snapshot_service_pb2.ListSnapshotsRequest(), call.stub(SnapshotServiceStub).ListSnapshots
    return _whole(await listing(call, walk(rpc, request, "snapshots"), "snapshots", _snapshot))


async def snapshot(call: Call) -> dict[str, Any]:
    """GET /os-snapshots/{id}."""
    request = snapshot_service_pb2.GetSnapshotRequest(id=call.params["id"])
    return {"snapshot": _snapshot(await call.stub(SnapshotServiceStub).GetSnapshot(request))}


async def create_snapshot(call: Call) -> dict[str, Any]:
    """POST /os-snapshots."""
    given = await call.body("snapshot")
    body.refuse_unknown(given, {"volume_id", "display_name", "display_description", "force"})
    request = snapshot_service_pb2.CreateSnapshotRequest(
        volume_id=body.field(given, "volume_id", str),
        **volumes.names(given),
    )
    return {"snapshot": _snapshot(await call.stub(SnapshotServiceStub).CreateSnapshot(request))}


async def delete_snapshot(call: Call) -> None:
    """DELETE /os-snapshots/{id}."""
    request = snapshot_service_pb2.DeleteSnapshotRequest(id=call.params["id"])
    await call.stub(SnapshotServiceStub).DeleteSnapshot(request)


def _whole(document: dict[str, Any]) -> dict[str, Any]:
    """These lists had pages and no links to the next."""
    return {name: value for name, value in document.items() if not name.endswith("_links")}


ROUTES = passing(
    "volume",
    Route("GET", "/v2.1/os-volumes", index),
    Route("GET", "/v2.1/os-volumes/detail", index),
    Route("POST", "/v2.1/os-volumes", create),
    Route("GET", "/v2.1/os-volumes/{id}", show),
    Route("DELETE", "/v2.1/os-volumes/{id}", delete, 202),
    Route("GET", "/v2.1/os-snapshots", snapshots),
    Route("GET", "/v2.1/os-snapshots/detail", snapshots),
    Route("POST", "/v2.1/os-snapshots", create_snapshot),
    Route("GET", "/v2.1/os-snapshots/{id}", snapshot),
    Route("DELETE", "/v2.1/os-snapshots/{id}", delete_snapshot, 202),
)
