"""Snapshots and their metadata."""

from typing import Any

from google.protobuf.field_mask_pb2 import FieldMask

from gateway.openstack import call as body
from gateway.openstack.call import Call
from gateway.openstack.dialect import Route
from gateway.openstack.faults import Refusal
from gateway.openstack.keyed import Keyed, texts
from gateway.openstack.listing import fitting, listing, wanted
from gateway.openstack.volume import views, volumes
from mesh.lists import walk
from weft.block.v1 import resources_pb2, volume_service_pb2
from weft.block.v1 import snapshot_service_pb2 as pb
from weft.block.v1.snapshot_service_pb2_grpc import SnapshotServiceStub
from weft.block.v1.volume_service_pb2_grpc import VolumeServiceStub

_SORTS = {name: name for name in ("id", "name", "status", "size", "created_at", "updated_at", "volume_id")}
_SORTS["display_name"] = "name"
# The last in which a snapshot of a volume in use had to be asked for with force.
_FORCED = (3, 65)
_FILTERS = {"id", "name", "status", "volume_id", "project_id"}


async def index(call: Call) -> dict[str, Any]:
    """GET /snapshots."""
    return await _listed(call, views.brief_snapshot)


async def detail(call: Call) -> dict[str, Any]:
    """GET /snapshots/detail."""
    return await _listed(call, None)


async def _listed(call: Call, brief: Any) -> dict[str, Any]:
    given = wanted(call, _FILTERS)
    if call.flag("all_tenants"):
        await call.administer()

    def fits(one: resources_pb2.Snapshot) -> bool:
        known = {"id": one.id, "name": one.name, "volume_id": one.volume_id, "project_id": one.project_id}
        known["status"] = views.status(one.status, resources_pb2.SnapshotStatus)
        return all(known[name] == value for name, value in given.items())

    found = walk(call.stub(SnapshotServiceStub).ListSnapshots, pb.ListSnapshotsRequest(), "snapshots")
    shown = lambda one: views.snapshot(call, one)  # noqa: E731
    return await listing(call, fitting(found, fits), "snapshots", shown, brief, _SORTS, lost=404)


async def show(call: Call) -> dict[str, Any]:
    """GET /snapshots/{id}."""
    return {"snapshot": views.snapshot(call, await _get(call))}


async def create(call: Call) -> dict[str, Any]:
    """POST /snapshots."""
    given = await call.body("snapshot")
    body.refuse_unknown(given, {"volume_id", *volumes.NAMES, "metadata", "force"})
    if given.get("volume_id", "") is None:
        raise Refusal(404, "Volume None could not be found.")
    volume_id = body.field(given, "volume_id", str)
    if call.microversion <= _FORCED and not body.truth(given.get("force") or False, "force"):
        await _require_unused(call, volume_id)
    request = pb.CreateSnapshotRequest(
        volume_id=volume_id,
        **volumes.names(given),
        metadata=texts(body.field(given, "metadata", dict, {}), "metadata"),
    )
    made = await call.stub(SnapshotServiceStub).CreateSnapshot(request)
    return {"snapshot": views.brief_snapshot(views.snapshot(call, made))}


async def update(call: Call) -> dict[str, Any]:
    """PUT /snapshots/{id}."""
    given = await call.body("snapshot")
    body.refuse_unknown(given, volumes.NAMES.keys())
    if not given:
        raise Refusal(400, "The body changes nothing.")
    values = volumes.names(given)
    return {"snapshot": views.brief_snapshot(views.snapshot(call, await _update(call, values)))}


async def delete(call: Call) -> None:
    """DELETE /snapshots/{id}."""
    await call.stub(SnapshotServiceStub).DeleteSnapshot(pb.DeleteSnapshotRequest(id=call.params["id"]))


async def refuse(call: Call) -> None:
    """POST /snapshots/{id}/action."""
    await _get(call)
    raise Refusal(501, "A status is what is so: it is not set by hand. Delete the snapshot.")


async def _require_unused(call: Call, volume_id: str) -> None:
    volume = await call.stub(VolumeServiceStub).GetVolume(volume_service_pb2.GetVolumeRequest(id=volume_id))
    if volume.status == resources_pb2.VOLUME_STATUS_IN_USE:
        raise Refusal(400, f"Invalid volume: Volume {volume_id} status must be available, but it is in use.")


async def _get(call: Call) -> resources_pb2.Snapshot:
    return await call.stub(SnapshotServiceStub).GetSnapshot(pb.GetSnapshotRequest(id=call.params["id"]))


async def _update(call: Call, values: dict[str, Any], revision: int = 0) -> resources_pb2.Snapshot:
    request = pb.UpdateSnapshotRequest(
        id=call.params["id"],
        snapshot=resources_pb2.Snapshot(**values),
        update_mask=FieldMask(paths=list(values)),
        expected_revision=revision,
    )
    return await call.stub(SnapshotServiceStub).UpdateSnapshot(request)


ROUTES = (
    Route("GET", "/v3/snapshots", index),
    Route("GET", "/v3/snapshots/detail", detail),
    Route("POST", "/v3/snapshots", create, 202),
    Route("GET", "/v3/snapshots/{id}", show, administers=True),
    Route("PUT", "/v3/snapshots/{id}", update, administers=True),
    Route("DELETE", "/v3/snapshots/{id}", delete, 202, administers=True),
    Route("POST", "/v3/snapshots/{id}/action", refuse, administers=True),
    *Keyed("/v3/snapshots/{id}/metadata", "metadata", "meta", _get, _update).routes(),
)
