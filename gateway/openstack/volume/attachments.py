"""Attachments, to be read: compute makes them."""

from typing import Any

from gateway.openstack import times
from gateway.openstack.call import Call
from gateway.openstack.dialect import Route
from gateway.openstack.faults import Refusal
from gateway.openstack.listing import fitting, listing, wanted
from gateway.openstack.volume.views import status
from mesh.lists import walk
from weft.block.v1 import attachment_service_pb2 as pb
from weft.block.v1 import resources_pb2
from weft.block.v1.attachment_service_pb2_grpc import AttachmentServiceStub

_BRIEF = ("id", "status", "instance", "volume_id")


def view(one: resources_pb2.Attachment) -> dict[str, Any]:
    """As Cinder shows it; how the host reaches the volume is the host's affair."""
    return {
        "id": one.id,
        "status": status(one.status, resources_pb2.AttachmentStatus),
        "instance": one.server_id,
        "volume_id": one.volume_id,
        "attached_at": times.bare(one.created_at),
        "detached_at": None,
        "attach_mode": "rw",
        "connection_info": {},
    }


def brief(document: dict[str, Any]) -> dict[str, Any]:
    """What a list that is not in detail shows."""
    return {name: document[name] for name in _BRIEF}


async def index(call: Call) -> dict[str, Any]:
    """GET /attachments."""
    return await _listed(call, brief)


async def detail(call: Call) -> dict[str, Any]:
    """GET /attachments/detail."""
    return await _listed(call, None)


async def _listed(call: Call, shown: Any) -> dict[str, Any]:
    given = wanted(call, {"status", "volume_id", "instance_id", "attach_status"})
    if call.flag("all_tenants"):
        await call.administer()
    names = {"instance_id": "instance", "attach_status": "status"}

    def fits(one: resources_pb2.Attachment) -> bool:
        document = view(one)
        return all(document[names.get(name, name)] == value for name, value in given.items())

    found = walk(call.stub(AttachmentServiceStub).ListAttachments, pb.ListAttachmentsRequest(), "attachments")
    return await listing(call, fitting(found, fits), "attachments", view, shown)


async def show(call: Call) -> dict[str, Any]:
    """GET /attachments/{id}."""
    request = pb.GetAttachmentRequest(id=call.params["id"])
    return {"attachment": view(await call.stub(AttachmentServiceStub).GetAttachment(request))}


async def refuse(call: Call) -> None:
    """Everything that would change one."""
    raise Refusal(501, "Servers attach volumes: call the compute service's os-volume_attachments.")


_SINCE = (3, 27)
ROUTES = (
    Route("GET", "/v3/attachments", index, since=_SINCE),
    Route("GET", "/v3/attachments/detail", detail, since=_SINCE),
    Route("POST", "/v3/attachments", refuse, since=_SINCE),
    Route("GET", "/v3/attachments/{id}", show, since=_SINCE),
    Route("PUT", "/v3/attachments/{id}", refuse, since=_SINCE),
    Route("DELETE", "/v3/attachments/{id}", refuse, since=_SINCE),
)
