"""GuestService: messages in, the host's guests asked, messages out."""

from typing import Any

from google.protobuf.empty_pb2 import Empty

from node.guest.attachments import Attachments
from node.guest.cards import Cards
from node.guest.copies import Copies
from node.guest.freezing import Freezing
from node.guest.guests import Guests
from node.guest.moving import Moving
from node.guest.power import Power
from node.guest.remaking import Remaking
from weft.node.v1 import guest_service_pb2 as pb
from weft.node.v1 import guest_service_pb2_grpc
from weft.node.v1.resources_pb2 import Guest, GuestVolume


class GuestServicer(guest_service_pb2_grpc.GuestServiceServicer):
    """Guests of this host."""

    def __init__(
        self,
        guests: Guests,
        power: Power,
        freezing: Freezing,
        attachments: Attachments,
        cards: Cards,
        remaking: Remaking,
        moving: Moving,
        copies: Copies,
    ) -> None:
        self._guests = guests
        self._power = power
        self._freezing = freezing
        self._attachments = attachments
        self._cards = cards
        self._remaking = remaking
        self._moving = moving
        self._copies = copies

    async def DefineGuest(self, request: pb.DefineGuestRequest, context: Any) -> Guest:
        return await self._guests.define(request.guest)

    async def StartGuest(self, request: pb.StartGuestRequest, context: Any) -> Guest:
        return await self._power.start(request.server_id)

    async def StopGuest(self, request: pb.StopGuestRequest, context: Any) -> Guest:
        return await self._power.stop(request.server_id, request.grace.ToTimedelta().total_seconds())

    async def RebootGuest(self, request: pb.RebootGuestRequest, context: Any) -> Guest:
        return await self._power.reboot(request.server_id, request.hard)

    async def PauseGuest(self, request: pb.PauseGuestRequest, context: Any) -> Guest:
        return await self._freezing.pause(request.server_id)

    async def UnpauseGuest(self, request: pb.UnpauseGuestRequest, context: Any) -> Guest:
        return await self._freezing.unpause(request.server_id)

    async def SuspendGuest(self, request: pb.SuspendGuestRequest, context: Any) -> Guest:
        return await self._freezing.suspend(request.server_id)

    async def AttachPort(self, request: pb.AttachPortRequest, context: Any) -> Empty:
        await self._cards.attach(request.server_id, request.port)
        return Empty()

    async def DetachPort(self, request: pb.DetachPortRequest, context: Any) -> Empty:
        await self._cards.detach(request.server_id, request.port_id)
        return Empty()

    async def RebuildGuest(self, request: pb.RebuildGuestRequest, context: Any) -> Guest:
        return await self._remaking.rebuild(request.guest)

    async def ResizeGuest(self, request: pb.ResizeGuestRequest, context: Any) -> Guest:
        return await self._remaking.resize(request)

    async def ConfirmGuest(self, request: pb.ConfirmGuestRequest, context: Any) -> Empty:
        await self._remaking.confirm(request.server_id)
        return Empty()

    async def RevertGuest(self, request: pb.RevertGuestRequest, context: Any) -> Empty:
        await self._remaking.revert(request.server_id)
        return Empty()

    async def ExportGuest(self, request: pb.ExportGuestRequest, context: Any) -> pb.ExportGuestResponse:
        return await self._moving.begin(request.server_id)

    async def UnexportGuest(self, request: pb.UnexportGuestRequest, context: Any) -> Empty:
        await self._moving.end(request.server_id)
        return Empty()

    async def SnapshotGuest(self, request: pb.SnapshotGuestRequest, context: Any) -> Empty:
        await self._copies.make(request.server_id, request.snapshot_id)
        return Empty()

    async def UploadSnapshot(self, request: pb.UploadSnapshotRequest, context: Any) -> Empty:
        await self._copies.bring(request.server_id, request.snapshot_id)
        return Empty()

    async def DropSnapshot(self, request: pb.DropSnapshotRequest, context: Any) -> Empty:
        await self._copies.drop(request.server_id, request.snapshot_id)
        return Empty()

    async def DeleteGuest(self, request: pb.DeleteGuestRequest, context: Any) -> Empty:
        await self._guests.delete(request.server_id)
        return Empty()

    async def GetGuest(self, request: pb.GetGuestRequest, context: Any) -> Guest:
        return await self._guests.get(request.server_id)

    async def ListGuests(self, request: pb.ListGuestsRequest, context: Any) -> pb.ListGuestsResponse:
        return pb.ListGuestsResponse(guests=await self._guests.list())

    async def AttachVolume(self, request: pb.AttachVolumeRequest, context: Any) -> GuestVolume:
        return await self._attachments.attach(request.server_id, request.volume)

    async def DetachVolume(self, request: pb.DetachVolumeRequest, context: Any) -> Empty:
        await self._attachments.detach(request.server_id, request.attachment_id)
        return Empty()

    async def ResizeVolume(self, request: pb.ResizeVolumeRequest, context: Any) -> Empty:
        await self._attachments.resize(request.server_id, request.volume_id, request.size_bytes)
        return Empty()

    async def UpdateMetadata(self, request: pb.UpdateMetadataRequest, context: Any) -> Empty:
        await self._guests.tell(request.server_id, request.metadata)
        return Empty()

    async def GetConsole(self, request: pb.GetConsoleRequest, context: Any) -> pb.GetConsoleResponse:
        excerpt = await self._guests.console(request.server_id, request.offset, request.length)
        return pb.GetConsoleResponse(data=excerpt.data, offset=excerpt.offset, size_bytes=excerpt.size_bytes)
