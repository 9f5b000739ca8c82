"""Snapshots and their metadata."""

from typing import Any

from google.protobuf.field_mask_pb2 import FieldMask

from gateway.openstack import call as body
from gateway.openstack.call import Call
from gateway.openstack.dialect import Route
from gateway.openstack.faults import Refusal
from gateway.openstack.keyed import Keyed, texts
from gateway.openstack.listing import fitting, listing, wanted
from gateway.openstack.lists import walk
from gateway.openstack.volume import views
from weft.block.v1 import resources_pb2
from weft.block.v1 import snapshot_service_pb2 as pb
from weft.block.v1.snapshot_service_pb2_grpc import SnapshotServiceStub

_SORTS = {name: name for name in ("id", "name", "status", "size", "created_at", "updated_at", "volume_id")}
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
    return await listing(call, fitting(found, fits), "snapshots", shown, brief, _SORTS)


async def show(call: Call) -> dict[str, Any]:
    """GET /snapshots/{id}."""
    return {"snapshot": views.snapshot(call, await _get(call))}


async def create(call: Call) -> dict[str, Any]:
    """POST /snapshots. `force` says nothing here: a volume in use is as good as another."""
    given = await call.body("snapshot")
    body.refuse_unknown(given, {"volume_id", "name", "description", "metadata", "force"})
    request = pb.CreateSnapshotRequest(
        volume_id=body.field(given, "volume_id", str),
        name=body.field(given, "name", str, ""),
        description=body.field(given, "description", str, ""),
        metadata=texts(body.field(given, "metadata", dict, {}), "metadata"),
    )
    made = await call.stub(SnapshotServiceStub).CreateSnapshot(request)
    return {"snapshot": views.brief_snapshot(views.snapshot(call, made))}


async def update(call: Call) -> dict[str, Any]:
    """PUT /snapshots/{id}."""
    given = await call.body("snapshot")
    body.refuse_unknown(given, {"name", "description"})
    if not given:
        raise Refusal(400, "The body changes nothing.")
    values = {name: body.field(given, name, str, "") for name in given}
    return {"snapshot": views.brief_snapshot(views.snapshot(call, await _update(call, values)))}


async def delete(call: Call) -> None:
    """DELETE /snapshots/{id}."""
    await call.stub(SnapshotServiceStub).DeleteSnapshot(pb.DeleteSnapshotRequest(id=call.params["id"]))


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
    *Keyed("/v3/snapshots/{id}/metadata", "metadata", "meta", _get, _update).routes(),
)
