"""Attachments."""

from typing import Any

from google.protobuf.empty_pb2 import Empty

from mesh.caller import current
from services.block import attaching, messages, store
from services.block.api.base import Api
from weft.block.v1 import attachment_service_pb2 as verbs
from weft.block.v1 import attachment_service_pb2_grpc
from weft.block.v1 import resources_pb2 as pb


class AttachmentApi(Api, attachment_service_pb2_grpc.AttachmentServiceServicer):
    """weft.block.v1.AttachmentService."""

    async def GetAttachment(self, request: verbs.GetAttachmentRequest, context: Any) -> pb.Attachment:
        caller = current()
        found = await self._database.peek(store.attachments.get, request.id, caller.reach)
        return messages.shown(messages.attachment(found), caller)

    async def ListAttachments(
        self, request: verbs.ListAttachmentsRequest, context: Any
    ) -> verbs.ListAttachmentsResponse:
        caller = current()
        found, token = await self._database.read(store.attachments.page, request, caller)
        shown = [messages.shown(messages.attachment(attachment), caller) for attachment in found]
        return verbs.ListAttachmentsResponse(attachments=shown, next_page_token=token)

    async def ReserveAttachment(
        self, request: verbs.ReserveAttachmentRequest, context: Any
    ) -> verbs.ReserveAttachmentResponse:
        wanted = attaching.wanted(
            request.attachment_id, request.volume_id, request.server_id, request.host_id
        )
        attachment, connection, volume = await self._attaching.reserve(wanted, current())
        return verbs.ReserveAttachmentResponse(
            attachment=messages.attachment(attachment),
            connection=connection,
            volume=messages.volume(volume),
        )

    async def ConfirmAttachment(self, request: verbs.ConfirmAttachmentRequest, context: Any) -> pb.Attachment:
        return await self._move(request, ["RESERVED"], "ATTACHED", device=request.device)

    async def BeginDetach(self, request: verbs.BeginDetachRequest, context: Any) -> pb.Attachment:
        return await self._move(request, ["ATTACHED"], "DETACHING")

    async def AbortDetach(self, request: verbs.AbortDetachRequest, context: Any) -> pb.Attachment:
        return await self._move(request, ["DETACHING"], "ATTACHED")

    async def ReleaseAttachment(self, request: verbs.ReleaseAttachmentRequest, context: Any) -> Empty:
        await self._attaching.release(request.attachment_id, current().reach)
        return Empty()

    async def _move(self, request: Any, before: list[str], after: str, **values: Any) -> pb.Attachment:
        reach = current().reach

        def move(unit: Any) -> pb.Attachment:
            moved = store.attachments.move(unit, request.attachment_id, reach, before, after, **values)
            return messages.attachment(moved)

        return await self._mutate(request, pb.Attachment, move)
