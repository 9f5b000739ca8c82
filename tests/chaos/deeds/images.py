"""Images: described, imported, deleted."""

import asyncio
import hashlib
from typing import Any

from mesh import ids
from mesh.errors import CloudError
from tests.chaos.deeds.hands import Hands
from tests.chaos.told import Thing
from tests.chaos.web import content
from weft.image.v1 import image_service_pb2 as pb
from weft.image.v1.image_service_pb2_grpc import ImageServiceStub
from weft.image.v1.operation_service_pb2_grpc import OperationServiceStub
from weft.image.v1.resources_pb2 import ImageStatus

_SIZES = (1 << 12, 1 << 20)
_LONGEST = 8.0
# An import that did not succeed leaves the image as it was before.
_AFTER = {"SUCCEEDED": "ACTIVE", "": ""}


class ImageDeeds(Hands):
    """What is done with images."""

    @property
    def images(self) -> Any:
        """The images."""
        return self.stub(ImageServiceStub)

    @property
    def imports(self) -> Any:
        """What is under way on them."""
        return self.stub(OperationServiceStub)

    async def import_image(self) -> None:
        """Have the cloud fetch an image's content; sometimes cancelled, or deleted in the middle."""
        if not (thing := self.pick("image", "QUEUED") or await self._describe()):
            return
        size, seconds = self.rng.randint(*_SIZES), self.rng.uniform(0, _LONGEST)
        name = ids.new()
        request = pb.ImportImageRequest(
            id=thing.id, uri=f"{self.place.web}/{size}/{seconds:.2f}/{name}", request_id=ids.new()
        )
        thing.sha256 = hashlib.sha256(content(name, size)).hexdigest()
        if self.rng.random() < 0.5:
            request.sha256 = thing.sha256
        thing.unsure()
        try:
            begun = await self.mutate(self.images.ImportImage, request)
        except CloudError:
            thing.status = "QUEUED"
            raise
        await self._come_to_its_end(thing, begun.operation_id)

    async def delete_image(self) -> None:
        """An image, whatever it holds."""
        if thing := self.pick_to_delete("image"):
            await self.remove(thing, self.images.DeleteImage, pb.DeleteImageRequest)

    async def look_at_image(self) -> None:
        """See what an image is of which nobody was told."""
        if thing := self.pick_unsure("image"):
            seen = await self.caller.insist(self.images.GetImage, pb.GetImageRequest(id=thing.id))
            if not seen.operation_id:
                thing.status = ImageStatus.Name(seen.status).removeprefix("IMAGE_STATUS_")

    async def _describe(self) -> Thing | None:
        """A new image without content."""
        if thing := self.new("image"):
            request = pb.CreateImageRequest(
                name=thing.name, disk_format="DISK_FORMAT_RAW", request_id=ids.new()
            )
            await self.make(thing, self.images.CreateImage, request)
            thing.status = "QUEUED"
        return thing

    async def _come_to_its_end(self, thing: Thing, operation_id: str) -> None:
        """What is done about an import while it is under way, and what comes of it."""
        chance, accepted = self.rng.random(), False
        if chance < 0.25:
            accepted = await self.cancel(self.imports, operation_id)
        elif chance < 0.35:
            await asyncio.sleep(self.rng.uniform(0, 2))
            await self.remove(thing, self.images.DeleteImage, pb.DeleteImageRequest)
        ended = await self.ended(self.imports, "image.import", operation_id)
        thing.status = _AFTER.get(ended, "QUEUED")
        if accepted and ended == "SUCCEEDED":
            self.told.contradiction(f"{thing}: its import was cancelled, and yet it succeeded")
