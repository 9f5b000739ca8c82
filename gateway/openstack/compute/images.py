"""Images as Nova passed them on, until 2.35."""

from typing import Any

from google.protobuf.field_mask_pb2 import FieldMask

from gateway.openstack import times
from gateway.openstack.call import Call
from gateway.openstack.compute import views
from gateway.openstack.compute.past import passing
from gateway.openstack.dialect import Route
from gateway.openstack.keyed import Keyed
from gateway.openstack.listing import fitting, listing
from mesh.lists import walk
from weft.image.v1 import image_service_pb2 as pb
from weft.image.v1 import resources_pb2
from weft.image.v1.image_service_pb2_grpc import ImageServiceStub

_STATUSES = {
    resources_pb2.IMAGE_STATUS_ACTIVE: "ACTIVE",
    resources_pb2.IMAGE_STATUS_QUEUED: "SAVING",
    resources_pb2.IMAGE_STATUS_SAVING: "SAVING",
    resources_pb2.IMAGE_STATUS_IMPORTING: "SAVING",
    resources_pb2.IMAGE_STATUS_DELETING: "DELETED",
}
_PROGRESS = {"ACTIVE": 100, "SAVING": 50}


def view(call: Call, one: resources_pb2.Image) -> dict[str, Any]:
    """As Nova showed it."""
    status = _STATUSES.get(one.status, "UNKNOWN")
    glance = {"rel": "alternate", "type": "application/vnd.openstack.image"}
    document = {
        "id": one.id,
        "name": one.name or None,
        "status": status,
        "created": times.seconds(one.created_at),
        "updated": times.seconds(one.updated_at),
        "minDisk": one.min_disk_gib,
        "minRam": one.min_memory_mib,
        "progress": _PROGRESS.get(status, 0),
        "metadata": dict(one.properties),
        "OS-EXT-IMG-SIZE:size": one.size_bytes,
        "links": [
            *views.links(call, f"images/{one.id}"),
            glance | {"href": f"{call.root}/image/v2/images/{one.id}"},
        ],
    }
    if server := one.properties.get("instance_uuid"):
        document["server"] = {"id": server, "links": views.links(call, f"servers/{server}")}
    return document


async def index(call: Call) -> dict[str, Any]:
    """GET /images."""
    return await _listed(call, views.brief)


async def detail(call: Call) -> dict[str, Any]:
    """GET /images/detail."""
    return await _listed(call, None)


async def _listed(call: Call, brief: Any) -> dict[str, Any]:
    query, since = call.query, call.query.get("changes-since")
    server = query.get("server", "").rpartition("/")[2]
    begins = times.read(since).ToDatetime() if since else None

    def fits(one: resources_pb2.Image) -> bool:
        kind = "snapshot" if one.properties.get("image_type") == "snapshot" else "BASE"
        return (
            query.get("status", "").upper() in ("", _STATUSES.get(one.status))
            and server in ("", one.properties.get("instance_uuid"))
            and query.get("type", kind) == kind
            and (begins is None or one.updated_at.ToDatetime() >= begins)
        )

    asked = pb.ListImagesRequest(name=query.get("name", "")[:255])
    found = walk(call.stub(ImageServiceStub).ListImages, asked, "images")
    return await listing(call, fitting(found, fits), "images", lambda one: view(call, one), brief)


async def show(call: Call) -> dict[str, Any]:
    """GET /images/{id}."""
    return {"image": view(call, await _get(call))}


async def delete(call: Call) -> None:
    """DELETE /images/{id}."""
    await call.stub(ImageServiceStub).DeleteImage(pb.DeleteImageRequest(id=call.params["id"]))


async def _get(call: Call) -> resources_pb2.Image:
    return await call.stub(ImageServiceStub).GetImage(pb.GetImageRequest(id=call.params["id"]))


async def _change(call: Call, values: dict[str, Any], revision: int) -> resources_pb2.Image:
    request = pb.UpdateImageRequest(
        id=call.params["id"],
        image=resources_pb2.Image(**values),
        update_mask=FieldMask(paths=list(values)),
        expected_revision=revision,
    )
    return await call.stub(ImageServiceStub).UpdateImage(request)


_KEYS = Keyed("/v2.1/images/{id}/metadata", "properties", "meta", _get, _change, 204, called="metadata")
ROUTES = passing(
    "image",
    Route("GET", "/v2.1/images", index),
    Route("GET", "/v2.1/images/detail", detail),
    Route("GET", "/v2.1/images/{id}", show),
    Route("DELETE", "/v2.1/images/{id}", delete, 204),
    *_KEYS.routes(),
)
