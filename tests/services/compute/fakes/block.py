"""Block: volumes and their attachments."""

from collections.abc import AsyncIterator
from typing import Any

from google.protobuf.empty_pb2 import Empty

from mesh import ids
from mesh.caller import current
from mesh.errors import CloudError, not_found, wrong_status
from mesh.server import Part, Runtime, Service
from tests.services.compute.fakes.faults import Faulty
from weft.block.v1 import (
    attachment_service_pb2,
    attachment_service_pb2_grpc,
    operation_service_pb2_grpc,
    volume_service_pb2_grpc,
)
from weft.block.v1.resources_pb2 import (
    Attachment,
    AttachmentStatus,
    Connection,
    FileConnection,
    Volume,
    VolumeStatus,
)
from weft.operation.v1.operation_pb2 import Operation


class Block(
    Faulty,
    volume_service_pb2_grpc.VolumeServiceServicer,
    attachment_service_pb2_grpc.AttachmentServiceServicer,
    operation_service_pb2_grpc.OperationServiceServicer,
):
    """A new volume is CREATING until its operation is watched."""

    def __init__(self) -> None:
        super().__init__()
        self.volumes: dict[str, Volume] = {}
        self.attachments: dict[str, Attachment] = {}
        self.creation_ends_in = VolumeStatus.VOLUME_STATUS_AVAILABLE
        self._requests: dict[str, Volume] = {}

    def part(self) -> Part:
        def build(runtime: Runtime) -> Service:
            return Service(
                [
                    (volume_service_pb2_grpc.add_VolumeServiceServicer_to_server, self),
                    (attachment_service_pb2_grpc.add_AttachmentServiceServicer_to_server, self),
                    (operation_service_pb2_grpc.add_OperationServiceServicer_to_server, self),
                ]
            )

        return Part("block", build)

    def add_volume(self, project_id: str, **fields: Any) -> Volume:
        volume = Volume(id=ids.new(), project_id=project_id, size_gib=1, **fields)
        volume.status = VolumeStatus.VOLUME_STATUS_AVAILABLE
        self.volumes[volume.id] = volume
        return volume

    def status_of(self, volume_id: str) -> str:
        return VolumeStatus.Name(self.volumes[volume_id].status).removeprefix("VOLUME_STATUS_")

    def _get(self, id: str) -> Volume:
        found = self.volumes.get(id)
        if found is None or current().reach not in (None, found.project_id):
            raise not_found("volume", id)
        return found

    async def GetVolume(self, request: Any, context: Any) -> Volume:
        self.called("GetVolume")
        return self._get(request.id)

    async def CreateVolume(self, request: Any, context: Any) -> Volume:
        self.called("CreateVolume")
        if request.validate_only:
            return Volume()
        if request.request_id in self._requests:
            return self._requests[request.request_id]
        volume = self.add_volume(current().project_id, bootable=bool(request.image_id))
        volume.status, volume.operation_id = VolumeStatus.VOLUME_STATUS_CREATING, ids.new()
        answer = Volume()
        answer.CopyFrom(volume)
        self._requests[request.request_id] = answer
        return answer

    async def WatchOperation(self, request: Any, context: Any) -> AsyncIterator[Operation]:
        self.called("WatchOperation")
        for volume in self.volumes.values():
            if volume.operation_id == request.id:
                volume.status = self.creation_ends_in
                volume.operation_id = ""
        yield Operation(id=request.id)

    async def DeleteVolume(self, request: Any, context: Any) -> Volume:
        self.called("DeleteVolume")
        if request.allow_missing and request.id not in self.volumes:
            return Volume(id=request.id)
        volume = self._get(request.id)
        if volume.status not in (VolumeStatus.VOLUME_STATUS_AVAILABLE, VolumeStatus.VOLUME_STATUS_ERROR):
            raise wrong_status("volume", volume.id, self.status_of(volume.id), ("AVAILABLE",))
        return self.volumes.pop(volume.id)

    async def ReserveAttachment(self, request: Any, context: Any) -> Any:
        self.called("ReserveAttachment")
        volume = self._get(request.volume_id)
        if request.attachment_id not in self.attachments:
            if volume.status != VolumeStatus.VOLUME_STATUS_AVAILABLE:
                raise wrong_status("volume", volume.id, self.status_of(volume.id), ("AVAILABLE",))
            volume.status = VolumeStatus.VOLUME_STATUS_ATTACHING
            self.attachments[request.attachment_id] = Attachment(
                id=request.attachment_id,
                volume_id=volume.id,
                server_id=request.server_id,
                host_id=request.host_id,
                status=AttachmentStatus.ATTACHMENT_STATUS_RESERVED,
            )
        connection = Connection(file=FileConnection(volume_id=volume.id, format="raw"), size_bytes=1 << 30)
        return attachment_service_pb2.ReserveAttachmentResponse(
            attachment=self.attachments[request.attachment_id], connection=connection, volume=volume
        )

    async def ListAttachments(self, request: Any, context: Any) -> Any:
        self.called("ListAttachments")
        return attachment_service_pb2.ListAttachmentsResponse(attachments=self.attachments.values())

    async def ConfirmAttachment(self, request: Any, context: Any) -> Attachment:
        self.called("ConfirmAttachment")
        return self._move(request.attachment_id, "ATTACHED", "IN_USE", request.device)

    async def BeginDetach(self, request: Any, context: Any) -> Attachment:
        self.called("BeginDetach")
        return self._move(request.attachment_id, "DETACHING", "DETACHING")

    async def AbortDetach(self, request: Any, context: Any) -> Attachment:
        self.called("AbortDetach")
        return self._move(request.attachment_id, "ATTACHED", "IN_USE")

    async def ReleaseAttachment(self, request: Any, context: Any) -> Empty:
        self.called("ReleaseAttachment")
        attachment = self.attachments.pop(request.attachment_id, None)
        if attachment is not None:
            self.volumes[attachment.volume_id].status = VolumeStatus.VOLUME_STATUS_AVAILABLE
        return Empty()

    def _move(self, id: str, attachment_status: str, volume_status: str, device: str = "") -> Attachment:
        if id not in self.attachments:
            raise CloudError("NOT_FOUND", f"There is no attachment {id}.")
        attachment = self.attachments[id]
        attachment.status = AttachmentStatus.Value(f"ATTACHMENT_STATUS_{attachment_status}")
        attachment.device = device or attachment.device
        volume = self.volumes[attachment.volume_id]
        volume.status = VolumeStatus.Value(f"VOLUME_STATUS_{volume_status}")
        return attachment
