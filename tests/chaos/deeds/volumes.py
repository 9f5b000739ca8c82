"""Volumes: made, given to servers, taken away, deleted."""

from typing import Any

from mesh import ids
from mesh.errors import CloudError
from tests.chaos.deeds.servers import ServerDeeds
from tests.chaos.told import Presence, Thing
from weft.block.v1 import volume_service_pb2 as volumes
from weft.block.v1.operation_service_pb2_grpc import OperationServiceStub
from weft.block.v1.resources_pb2 import VolumeStatus
from weft.block.v1.volume_service_pb2_grpc import VolumeServiceStub
from weft.compute.v1 import server_service_pb2 as servers


class VolumeDeeds(ServerDeeds):
    """What is done with volumes."""

    @property
    def volumes(self) -> Any:
        """Block's volumes."""
        return self.stub(VolumeServiceStub)

    @property
    def block(self) -> Any:
        """Block's operations."""
        return self.stub(OperationServiceStub)

    async def create_volume(self) -> None:
        """An empty volume."""
        if not (thing := self.new("volume")):
            return
        thing.unsure()
        request = volumes.CreateVolumeRequest(name=thing.name, size_gib=1, request_id=ids.new())
        made = await self.make(thing, self.volumes.CreateVolume, request)
        if ended := await self.ended(self.block, "volume.create", made.operation_id):
            thing.status, thing.holder = ("AVAILABLE" if ended == "SUCCEEDED" else "ERROR"), ""

    async def extend_volume(self) -> None:
        """Make a volume larger that nobody has."""
        if not (thing := self.pick("volume", "AVAILABLE")):
            return
        seen = await self.caller.insist(self.volumes.GetVolume, volumes.GetVolumeRequest(id=thing.id))
        request = volumes.ExtendVolumeRequest(id=thing.id, size_gib=seen.size_gib + 1, request_id=ids.new())
        thing.unsure()
        answer = await self._answered(thing, "AVAILABLE", self.volumes.ExtendVolume, request)
        if await self.ended(self.block, "volume.extend", answer.operation_id):
            thing.status, thing.holder = "AVAILABLE", ""

    async def attach(self) -> None:
        """Give a volume to a server."""
        server, volume = self.pick("server", "ACTIVE", "STOPPED"), self.pick("volume", "AVAILABLE")
        if server and volume:
            request = servers.AttachVolumeRequest(id=server.id, volume_id=volume.id, request_id=ids.new())
            ended = await self._move(volume, "AVAILABLE", self.servers.AttachVolume, request)
            if ended:
                attached = ended == "SUCCEEDED"
                volume.status, volume.holder = ("IN_USE", server.id) if attached else ("AVAILABLE", "")

    async def detach(self) -> None:
        """Take a volume from its server."""
        held = [t for t in self.things if t.kind == "volume" and t.usable and t.holder]
        if not held:
            return
        volume = self.rng.choice(held)
        server = next(t for t in self.things if t.id == volume.holder)
        if server.usable and server.status in ("ACTIVE", "STOPPED"):
            request = servers.DetachVolumeRequest(id=server.id, volume_id=volume.id, request_id=ids.new())
            ended = await self._move(volume, "IN_USE", self.servers.DetachVolume, request)
            if ended:
                detached = ended == "SUCCEEDED"
                volume.status, volume.holder = ("AVAILABLE", "") if detached else ("IN_USE", server.id)

    async def delete_volume(self) -> None:
        """A volume that nobody has."""
        if not (thing := self.pick_to_delete("volume", "AVAILABLE", "ERROR")):
            return
        before, thing.presence = thing.presence, Presence.MAYBE
        request = volumes.DeleteVolumeRequest(id=thing.id, request_id=ids.new(), allow_missing=True)
        try:
            answer = await self.mutate(self.volumes.DeleteVolume, request)
        except CloudError:
            thing.presence = before
            raise
        ended = "SUCCEEDED"  # where there was none any more
        if answer.operation_id:
            ended = await self.ended(self.block, "volume.delete", answer.operation_id)
        if ended == "SUCCEEDED":
            thing.presence = Presence.GONE
        elif ended:
            thing.presence, thing.status = Presence.THERE, "ERROR"

    async def look_at_volume(self) -> None:
        """See what a volume is of which nobody was told."""
        if thing := self.pick_unsure("volume"):
            seen = await self.caller.insist(self.volumes.GetVolume, volumes.GetVolumeRequest(id=thing.id))
            name = VolumeStatus.Name(seen.status).removeprefix("VOLUME_STATUS_")
            if name in ("AVAILABLE", "IN_USE", "ERROR"):
                thing.status = name
                thing.holder = next((each.server_id for each in seen.attachments), "")

    async def _move(self, volume: Thing, before: str, method: Any, request: Any) -> str:
        """How an attachment or detachment ended."""
        holder = volume.holder
        volume.unsure()
        try:
            answer = await self._answered(volume, before, method, request)
        except CloudError:
            volume.holder = holder
            raise
        what = type(request).__name__.removesuffix("Request")
        return await self.ended(self.compute, what, answer.operation_id)

    async def _answered(self, volume: Thing, before: str, method: Any, request: Any) -> Any:
        """The answer; refused, the volume is as it was."""
        try:
            return await self.mutate(method, request)
        except CloudError:
            volume.status, volume.holder = before, ""
            raise
