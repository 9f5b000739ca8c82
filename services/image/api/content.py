"""The content of images: upload and download."""

from collections.abc import AsyncIterator
from typing import Any

from google.api.httpbody_pb2 import HttpBody

from mesh.caller import current
from mesh.errors import CloudError, invalid, wrong_status
from services.image import messages, reading, store
from services.image.api.base import Api
from services.image.api.draining import drain
from services.image.model import Image
from weft.image.v1 import image_service_pb2 as verbs
from weft.image.v1 import resources_pb2 as pb

CONTENT_TYPE = "application/octet-stream"


class ContentApi(Api):
    """Bytes in, bytes out."""

    async def UploadImage(
        self, request_iterator: AsyncIterator[verbs.UploadImageRequest], context: Any
    ) -> pb.Image:
        first = await anext(request_iterator, None)
        if first is None or not first.id:
            raise invalid("id", "the first message must name the image")
        try:
            image = await self._uploads.receive(current(), first.id, _chunks(first, request_iterator))
        except CloudError:
            await drain(request_iterator)
            raise
        return messages.image(image)

    async def DownloadImage(
        self, request: verbs.DownloadImageRequest, context: Any
    ) -> AsyncIterator[HttpBody]:
        path = self._contents.blobs.path((await self.given(request.id)).sha256)
        async for piece in reading.pieces(path, request.offset, request.length):
            yield HttpBody(content_type=CONTENT_TYPE, data=piece)

    async def given(self, id: str) -> Image:
        """The image, if its content may be read. Raises NOT_FOUND, WRONG_STATUS."""
        reach = current().reach
        image = await self._database.read(store.images.get, id, reach)
        if not image.gives_out(reach):
            raise wrong_status("image", image.id, image.status, ["ACTIVE"])
        return image


async def _chunks(
    first: verbs.UploadImageRequest, rest: AsyncIterator[verbs.UploadImageRequest]
) -> AsyncIterator[bytes]:
    yield first.file.data
    async for request in rest:
        if request.id not in ("", first.id):
            raise invalid("id", "one upload is for one image")
        yield request.file.data
