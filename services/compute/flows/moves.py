"""A server's ports and volumes go from one host to another, while its guest is off on both.

Every function can be called again after it was broken off in the middle.
"""

from collections.abc import Iterable, Mapping
from typing import Any

from google.protobuf.json_format import MessageToDict, ParseDict

from mesh.flow import Run
from services.compute.flows.attachments import attachments
from services.compute.nodes import reaching
from weft.block.v1.attachment_service_pb2 import (
    ConfirmAttachmentRequest,
    ReleaseAttachmentRequest,
    ReserveAttachmentRequest,
)
from weft.network.v1.port_service_pb2 import BindPortRequest, UnbindPortRequest
from weft.network.v1.port_service_pb2_grpc import PortServiceStub
from weft.node.v1.guest_service_pb2 import AttachVolumeRequest, DeleteGuestRequest, DetachVolumeRequest
from weft.node.v1.resources_pb2 import GuestVolume

_GUEST = 90.0


async def ports(run: Run, ports: Iterable[Mapping[str, Any]], here: str, there: str) -> None:
    """Bind the ports on the host `there` instead of `here`."""
    stub: Any = run.app.peers.stub(PortServiceStub, service="network")
    for port in ports:
        await stub.UnbindPort(UnbindPortRequest(id=port["port_id"], host_id=here))
        await stub.BindPort(BindPortRequest(id=port["port_id"], host_id=there, device_id=run.target_id))


def attachment_on(run: Run, volume: Mapping[str, Any], host_id: str) -> str:
    """The id of the volume's attachment on another host."""
    return run.derived(f"attachment/{volume['volume_id']}/{host_id}")


async def reserve(run: Run, volume: Mapping[str, Any], attachment_id: str, host_id: str) -> dict[str, Any]:
    """Reserve the volume for the host; answer it as the guest is to have it, with its connection."""
    request = ReserveAttachmentRequest(
        attachment_id=attachment_id,
        volume_id=volume["volume_id"],
        server_id=run.target_id,
        host_id=host_id,
    )
    answer = await attachments(run.app.peers).ReserveAttachment(request)
    return {**volume, "attachment_id": attachment_id, "connection": MessageToDict(answer.connection)}


async def release(run: Run, attachment_id: str) -> None:
    """Nobody has it by this attachment."""
    await attachments(run.app.peers).ReleaseAttachment(ReleaseAttachmentRequest(attachment_id=attachment_id))


async def confirm(run: Run, volume: Mapping[str, Any]) -> None:
    """The guest has it."""
    request = ConfirmAttachmentRequest(attachment_id=volume["attachment_id"], device=volume["device"])
    await attachments(run.app.peers).ConfirmAttachment(request)


async def take(run: Run, volume: Mapping[str, Any], host_id: str) -> None:
    """Take the volume from the guest on that host."""
    request = DetachVolumeRequest(server_id=run.target_id, attachment_id=volume["attachment_id"])
    with reaching(host_id):
        await (await run.app.nodes.guests(host_id)).DetachVolume(request, timeout=_GUEST)


async def give(run: Run, volume: Mapping[str, Any], host_id: str) -> None:
    """Give the guest on that host its volume back, as it had it."""
    reserved = await reserve(run, volume, volume["attachment_id"], host_id)
    request = AttachVolumeRequest(server_id=run.target_id, volume=guest_volume(reserved))
    with reaching(host_id):
        await (await run.app.nodes.guests(host_id)).AttachVolume(request, timeout=_GUEST)
    await confirm(run, volume)


def guest_volume(volume: Mapping[str, Any]) -> GuestVolume:
    """What a host is told of a reserved volume."""
    message = GuestVolume(
        attachment_id=volume["attachment_id"],
        volume_id=volume["volume_id"],
        boot=volume["boot"],
        device=volume["device"],
    )
    ParseDict(volume["connection"], message.connection)
    return message


async def delete_guest(run: Run, host_id: str) -> None:
    """Destroy the server's guest on that host; one that was written off has none."""
    if await run.app.nodes.written_off(host_id):
        return
    with reaching(host_id):
        stub = await run.app.nodes.guests(host_id)
        await stub.DeleteGuest(DeleteGuestRequest(server_id=run.target_id), timeout=_GUEST)
