"""A server's volumes, as its flows reserve, confirm and give them back.

Attachment ids derive from the operation, the volume and the host, so reserving twice is reserving once.
"""

import logging
from collections.abc import Mapping
from typing import Any

from google.protobuf.json_format import MessageToDict

from mesh.channel import Peers
from mesh.errors import CloudError
from mesh.flow import Run
from mesh.together import all_of
from weft.block.v1.attachment_service_pb2 import (
    ConfirmAttachmentRequest,
    ReleaseAttachmentRequest,
    ReserveAttachmentRequest,
)
from weft.block.v1.attachment_service_pb2_grpc import AttachmentServiceStub
from weft.block.v1.operation_service_pb2_grpc import OperationServiceStub
from weft.block.v1.resources_pb2 import Volume, VolumeStatus
from weft.block.v1.volume_service_pb2 import CreateVolumeRequest, DeleteVolumeRequest, GetVolumeRequest
from weft.block.v1.volume_service_pb2_grpc import VolumeServiceStub
from weft.operation.v1.operation_pb2 import WatchOperationRequest

_log = logging.getLogger(__name__)


def attachments(peers: Peers) -> Any:
    """Block's AttachmentService."""
    return peers.stub(AttachmentServiceStub, service="block")


def _volumes(peers: Peers) -> Any:
    return peers.stub(VolumeServiceStub, service="block")


def makes_one(run: Run) -> bool:
    """Whether a volume to boot from is to be made."""
    return run.input["new_volume"] is not None


def has_some(run: Run) -> bool:
    """Whether the server is to have volumes."""
    return makes_one(run) or bool(run.input["volumes"])


def reserved(run: Run) -> list[dict[str, Any]]:
    """What `reserve` answered."""
    return run.outputs.get("reserve volumes", {}).get("volumes", [])


async def create_boot_volume(run: Run) -> dict[str, Any]:
    """Make the volume to boot from, and wait until it is AVAILABLE."""
    volume = await _volumes(run.app.peers).CreateVolume(_boot_volume(run))
    volume = await _settled(run.app.peers, volume)
    if volume.status != VolumeStatus.VOLUME_STATUS_AVAILABLE:
        message = f"The boot volume could not be made: {volume.status_reason or 'block does not say why'}"
        raise CloudError("OPERATION_FAILED", message, operation_id=volume.operation_id, step="create")
    return {"volume_id": volume.id}


async def uncreate_boot_volume(run: Run) -> None:
    """Delete it. Block chose its id: where that was not heard, the same request is sent again to hear it."""
    try:
        volume = await _volumes(run.app.peers).CreateVolume(_boot_volume(run))
        volume = await _settled(run.app.peers, volume)
        await _volumes(run.app.peers).DeleteVolume(DeleteVolumeRequest(id=volume.id, allow_missing=True))
    except CloudError as error:
        if error.retryable:
            raise
        _log.info("there is no boot volume to delete: %s", error.message)


async def reserve(run: Run) -> dict[str, Any]:
    """Reserve all volumes for the claimed host; answer how that reaches each."""
    return {"volumes": await all_of(_reserve(run, volume) for volume in _wanted(run))}


async def unreserve(run: Run) -> None:
    """Release them, reserved or not."""
    for volume in _wanted(run):
        request = ReleaseAttachmentRequest(attachment_id=_attachment_id(run, volume))
        await attachments(run.app.peers).ReleaseAttachment(request)


async def confirm(run: Run) -> None:
    """Say that the guest has them."""
    devices = run.outputs["define guest"]["devices"]
    await all_of(
        attachments(run.app.peers).ConfirmAttachment(
            ConfirmAttachmentRequest(attachment_id=id, device=devices.get(id, ""))
        )
        for id in (volume["attachment_id"] for volume in reserved(run))
    )


async def give_back(peers: Peers, server: Any) -> None:
    """Release every attachment of a server, and delete the volumes that go with it, as its deletion does."""
    for volume in server.volumes:
        request = ReleaseAttachmentRequest(attachment_id=volume["attachment_id"])
        await attachments(peers).ReleaseAttachment(request)


async def delete_with_server(peers: Peers, server: Any) -> None:
    """Delete the volumes that were asked to go with it; one that block keeps (a snapshot of it) stays."""
    for volume_id in (v["volume_id"] for v in server.volumes if v["delete_on_termination"]):
        try:
            await _volumes(peers).DeleteVolume(DeleteVolumeRequest(id=volume_id, allow_missing=True))
        except CloudError as error:
            if error.retryable:
                raise
            _log.warning("volume %s outlives server %s: %s", volume_id, server.id, error.message)


def _wanted(run: Run) -> list[dict[str, Any]]:
    new = run.input["new_volume"]
    volumes = list(run.input["volumes"])
    if new:
        boot = {"volume_id": run.outputs["create boot volume"]["volume_id"], "boot": True}
        volumes.insert(0, boot | {"delete_on_termination": new["delete_on_termination"]})
    return volumes


def _attachment_id(run: Run, volume: Mapping[str, Any]) -> str:
    return run.derived(f"attachment/{volume['volume_id']}/{run.outputs['claim host']['host_id']}")


async def _reserve(run: Run, volume: dict[str, Any]) -> dict[str, Any]:
    id = _attachment_id(run, volume)
    answer = await attachments(run.app.peers).ReserveAttachment(
        ReserveAttachmentRequest(
            attachment_id=id,
            volume_id=volume["volume_id"],
            server_id=run.target_id,
            host_id=run.outputs["claim host"]["host_id"],
        )
    )
    return {**volume, "attachment_id": id, "connection": MessageToDict(answer.connection)}


def _boot_volume(run: Run) -> CreateVolumeRequest:
    wanted, host_id = run.input["new_volume"], run.outputs["claim host"]["host_id"]
    return CreateVolumeRequest(
        image_id=wanted["image_id"],
        size_gib=wanted["size_gib"],
        volume_type_id=wanted["volume_type_id"],
        near_host_id=host_id,
        request_id=run.derived(f"boot volume/{host_id}"),
    )


async def _settled(peers: Peers, volume: Volume) -> Volume:
    """The volume once block is done with making it."""
    if volume.status == VolumeStatus.VOLUME_STATUS_CREATING:
        operations: Any = peers.stub(OperationServiceStub, service="block")
        following = operations.WatchOperation(WatchOperationRequest(id=volume.operation_id))
        _ = [operation.state async for operation in following]
    return await _volumes(peers).GetVolume(GetVolumeRequest(id=volume.id))
