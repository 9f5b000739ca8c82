"""What is done with a volume: one call, whose body names the deed."""

from collections.abc import Awaitable, Callable
from typing import Any

from google.protobuf.field_mask_pb2 import FieldMask
from starlette.responses import Response

from gateway.openstack import call as body
from gateway.openstack.call import Call
from gateway.openstack.dialect import Route
from gateway.openstack.faults import Refusal
from gateway.openstack.limits import whole
from weft.block.v1 import resources_pb2
from weft.block.v1 import volume_service_pb2 as pb
from weft.block.v1.volume_service_pb2_grpc import VolumeServiceStub
from weft.compute.v1 import server_service_pb2
from weft.compute.v1.server_service_pb2_grpc import ServerServiceStub

_BY_COMPUTE = "Servers attach volumes: call the compute service's os-volume_attachments."
# Deeds of Cinder that weft knows and does not do.
_REFUSED = {
    **dict.fromkeys(("os-force_detach", "os-reserve", "os-unreserve"), _BY_COMPUTE),
    **dict.fromkeys(("os-begin_detaching", "os-roll_detaching"), _BY_COMPUTE),
    **dict.fromkeys(("os-initialize_connection", "os-terminate_connection"), _BY_COMPUTE),
    "os-update_readonly_flag": "Volumes are not attached read-only.",
    "os-set_image_metadata": "Volumes keep no metadata of images.",
    "os-unset_image_metadata": "Volumes keep no metadata of images.",
    "os-show_image_metadata": "Volumes keep no metadata of images.",
    "os-volume_upload_image": "Images are not made from volumes.",
    "os-retype": "A volume keeps its type.",
    "os-migrate_volume": "Volumes are not moved between pools.",
    "os-migrate_volume_completion": "Volumes are not moved between pools.",
    "os-reset_status": "A status is what is so: it is not set by hand.",
    "os-force_delete": "Delete the volume: what is in error can be deleted.",
    "os-extend_volume_completion": _BY_COMPUTE,
    "os-reimage": "A volume keeps its content: make another from the image.",
    "revert": "A volume is not set back: make another from the snapshot.",
}


async def act(call: Call) -> Response:
    """POST /volumes/{id}/action."""
    document = await call.body()
    if len(document) != 1:
        raise Refusal(400, "The body must name one action.")
    ((name, given),) = document.items()
    if name in _REFUSED:  # one that is not there is told first
        await _volume(call)
        raise Refusal(501, _REFUSED[name])
    if name not in _DEEDS or not isinstance(given, dict):
        raise Refusal(400, f"There is no such action: {name}.")
    deed, status = _DEEDS[name]
    await deed(call, given)
    return Response(status_code=status)


async def _extend(call: Call, given: dict[str, Any]) -> None:
    body.refuse_unknown(given, {"new_size"})
    size = whole(given.get("new_size", ""), "new_size", 1)
    request = pb.ExtendVolumeRequest(id=call.params["id"], size_gib=size)
    await call.stub(VolumeServiceStub).ExtendVolume(request)


async def _attach(call: Call, given: dict[str, Any]) -> None:
    """As compute attaches it; the guest names the device, so `mountpoint` is not heeded."""
    body.refuse_unknown(given, {"instance_uuid", "mountpoint", "mode"})
    if given.get("mode", "rw") != "rw":
        raise Refusal(501, "mode: volumes are not attached read-only.")
    await _volume(call)
    request = server_service_pb2.AttachVolumeRequest(
        id=body.field(given, "instance_uuid", str), volume_id=call.params["id"]
    )
    await call.stub(ServerServiceStub).AttachVolume(request)


async def _detach(call: Call, given: dict[str, Any]) -> None:
    body.refuse_unknown(given, {"attachment_id"})
    wanted = body.field(given, "attachment_id", str, "")
    for attachment in (await _volume(call)).attachments:
        if wanted in ("", attachment.id):
            request = server_service_pb2.DetachVolumeRequest(
                id=attachment.server_id, volume_id=attachment.volume_id
            )
            await call.stub(ServerServiceStub).DetachVolume(request)
            return
    raise Refusal(400, "Invalid volume: it is not attached so.")


async def _volume(call: Call) -> resources_pb2.Volume:
    return await call.stub(VolumeServiceStub).GetVolume(pb.GetVolumeRequest(id=call.params["id"]))


async def _set_bootable(call: Call, given: dict[str, Any]) -> None:
    body.refuse_unknown(given, {"bootable"})
    bootable = body.truth(given.get("bootable"), "bootable")
    request = pb.UpdateVolumeRequest(
        id=call.params["id"],
        volume=resources_pb2.Volume(bootable=bootable),
        update_mask=FieldMask(paths=["bootable"]),
    )
    await call.stub(VolumeServiceStub).UpdateVolume(request)


_DEEDS: dict[str, tuple[Callable[[Call, dict[str, Any]], Awaitable[None]], int]] = {
    "os-attach": (_attach, 202),
    "os-detach": (_detach, 202),
    "os-extend": (_extend, 202),
    "os-set_bootable": (_set_bootable, 200),
}
ROUTES = (Route("POST", "/v3/volumes/{id}/action", act, administers=True),)
