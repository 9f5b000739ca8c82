"""Servers are rebuilt, and images are made of them."""

from typing import Any

from mesh import ids
from mesh.errors import CloudError
from tests.chaos.calls import Unsure
from tests.chaos.deeds.images import ImageDeeds
from tests.chaos.deeds.servers import ServerDeeds
from tests.chaos.told import Presence, Thing
from weft.compute.v1 import server_service_pb2 as pb
from weft.image.v1.image_service_pb2 import DeleteImageRequest, GetImageRequest


class ChangeDeeds(ServerDeeds, ImageDeeds):
    """What is done with a server's disks."""

    async def rebuild(self) -> None:
        """A server's disks are made anew."""
        if thing := self.pick("server", "ACTIVE", "STOPPED"):
            image_id = self.place.image_id
            request = pb.RebuildServerRequest(id=thing.id, image_id=image_id, request_id=ids.new())
            answer, before = await self._begun(thing, self.servers.RebuildServer, request)
            if await self.ended(self.compute, "RebuildServer", answer.operation_id) == "SUCCEEDED":
                thing.status = before

    async def copy(self) -> None:
        """An image of a server, which is there as soon as that is said, and is deleted then."""
        server = self.pick("server", "ACTIVE", "STOPPED")
        if not server or not (image := self.new("image")):
            return
        request = pb.SnapshotServerRequest(id=server.id, name=image.name, request_id=ids.new())
        try:
            answer, before = await self._begun(server, self.servers.SnapshotServer, request)
        except CloudError:
            image.presence = Presence.GONE
            raise
        image.id = answer.image_id
        ended = await self.ended(self.compute, "SnapshotServer", answer.server.operation_id)
        if ended == "SUCCEEDED":
            server.status, image.presence, image.status = before, Presence.THERE, "ACTIVE"
            await self._is_there(image, True)
            await self.remove(image, self.images.DeleteImage, DeleteImageRequest)
        elif ended:
            image.presence = Presence.GONE
            await self._is_there(image, False)

    async def _begun(self, thing: Thing, method: Any, request: Any) -> tuple[Any, str]:
        """The answer, and the status before; refused, the server is as it was."""
        before = thing.status
        thing.unsure()
        try:
            return await self.mutate(method, request), before
        except CloudError:
            thing.status = before
            raise

    async def _is_there(self, image: Thing, expected: bool) -> None:
        """An image is there where its making succeeded, and nowhere else."""
        try:
            await self.caller.once(self.images.GetImage, GetImageRequest(id=image.id))
            found = True
        except Unsure:
            return
        except CloudError as error:
            if error.reason != "NOT_FOUND":
                raise
            found = False
        if found is not expected:
            self.told.contradiction(f"{image}: it is {'' if found else 'not '}there")
