"""Volumes of servers."""

from typing import Any

from gateway.openstack import call as body
from gateway.openstack.call import Call
from gateway.openstack.compute import servers
from gateway.openstack.compute.operations import ended
from gateway.openstack.dialect import Route
from gateway.openstack.faults import Refusal
from mesh.errors import CloudError
from weft.compute.v1 import server_service_pb2 as pb
from weft.compute.v1.resources_pb2 import ServerVolume
from weft.compute.v1.server_service_pb2_grpc import ServerServiceStub


def view(call: Call, server_id: str, one: ServerVolume) -> dict[str, Any]:
    """As Nova shows it."""
    version = call.microversion
    document: dict[str, Any] = {
        "serverId": server_id,
        "volumeId": one.volume_id,
        "device": f"/dev/{one.device.removeprefix('/dev/')}" if one.device else None,
    }
    if version < (2, 89):
        document["id"] = one.volume_id
    if version >= (2, 70):
        document["tag"] = None
    if version >= (2, 79):
        document["delete_on_termination"] = one.delete_on_termination
    if version >= (2, 89):
        document |= {"attachment_id": one.attachment_id or None, "bdm_uuid": one.attachment_id}
    return document


async def index(call: Call) -> dict[str, Any]:
    """GET /servers/{id}/os-volume_attachments."""
    one = await servers.get(call)
    return {"volumeAttachments": [view(call, one.id, each) for each in one.volumes]}


async def show(call: Call) -> dict[str, Any]:
    """GET /servers/{id}/os-volume_attachments/{volume_id}."""
    one = await servers.get(call)
    for each in one.volumes:
        if each.volume_id == call.params["volume_id"]:
            return {"volumeAttachment": view(call, one.id, each)}
    raise Refusal(404, f"The server does not have the volume {call.params['volume_id']}.")


async def attach(call: Call) -> dict[str, Any]:
    """POST /servers/{id}/os-volume_attachments. The guest names the device, so `device` is not heeded; it is
    told where the guest has the volume soon.
    """
    given = await call.body("volumeAttachment")
    version = call.microversion
    known = {"volumeId", "device"} | ({"tag"} if version >= (2, 49) else set())
    body.refuse_unknown(given, known | ({"delete_on_termination"} if version >= (2, 79) else set()))
    if given.get("tag"):
        raise Refusal(501, "tag: volumes of servers have no tags.")
    request = pb.AttachVolumeRequest(
        id=call.params["id"],
        volume_id=body.field(given, "volumeId", str),
        delete_on_termination=body.field(given, "delete_on_termination", bool, False),
    )
    try:
        one = await call.stub(ServerServiceStub).AttachVolume(request)
    except CloudError as error:
        if error.metadata.get("resource_type") != "volume" or error.reason not in ("WRONG_STATUS", "IN_USE"):
            raise
        raise Refusal(400, f"Invalid volume: {error.message}") from error
    coming = ServerVolume(volume_id=request.volume_id, delete_on_termination=request.delete_on_termination)
    if await ended(call, one.operation_id):
        one = await servers.get(call)
    there = (each for each in one.volumes if each.volume_id == request.volume_id)
    return {"volumeAttachment": view(call, one.id, next(there, coming))}


async def detach(call: Call) -> None:
    """DELETE /servers/{id}/os-volume_attachments/{volume_id}."""
    request = pb.DetachVolumeRequest(id=call.params["id"], volume_id=call.params["volume_id"])
    await call.stub(ServerServiceStub).DetachVolume(request)


async def update(call: Call) -> None:
    """PUT /servers/{id}/os-volume_attachments/{volume_id}: from 2.85 on, whether it goes with the server."""
    given, there = await call.body("volumeAttachment"), (await show(call))["volumeAttachment"]
    if body.field(given, "volumeId", str) != call.params["volume_id"]:
        raise Refusal(501, "Volumes are not swapped: detach one and attach the other.")
    if call.microversion < (2, 85):
        raise Refusal(400, "Until 2.85 nothing is changed but the volume itself.")
    body.refuse_unknown(given, set(there) - {"attachment_id", "bdm_uuid"})
    request = pb.UpdateServerVolumeRequest(id=call.params["id"], volume_id=call.params["volume_id"])
    for name, value in given.items():
        if name == "delete_on_termination":
            request.delete_on_termination = body.truth(value, name)
        elif value != there[name]:
            raise Refusal(400, f"{name}: is not changed here.")
    if "delete_on_termination" in given:
        await call.stub(ServerServiceStub).UpdateServerVolume(request)


_PATH = "/v2.1/servers/{id}/os-volume_attachments"
ROUTES = (
    Route("GET", _PATH, index),
    Route("POST", _PATH, attach),
    Route("GET", f"{_PATH}/{{volume_id}}", show),
    Route("PUT", f"{_PATH}/{{volume_id}}", update, 202),
    Route("DELETE", f"{_PATH}/{{volume_id}}", detach, 202),
)
