"""How hosts get the content of images, and give it."""

from collections.abc import AsyncIterator
from typing import Any

from mesh.caller import Kind, current
from mesh.errors import CloudError, invalid, not_found
from services.image import reading, store
from services.image.api.base import Api
from services.image.api.draining import drain
from weft.image.v1 import transfer_service_pb2 as verbs
from weft.image.v1 import transfer_service_pb2_grpc


class TransferApi(Api, transfer_service_pb2_grpc.TransferServiceServicer):
    """weft.image.v1.TransferService."""

    async def GrantFetch(self, request: verbs.GrantFetchRequest, context: Any) -> verbs.GrantFetchResponse:
        """Lets a host fetch a content. Whether it is there is asked when it is fetched: it may be cached."""
        return verbs.GrantFetchResponse(grant=self._grants.give(request.host_id, request.sha256))

    async def FetchImage(
        self, request: verbs.FetchImageRequest, context: Any
    ) -> AsyncIterator[verbs.FetchImageResponse]:
        caller = current()
        if caller.kind is Kind.NODE:
            self._grants.check(request.grant, caller.host_id, request.sha256)
        # By content, not by record: a host may still need what a deleted image had, if another has it.
        if not await self._database.read(store.images.refers, request.sha256, active=True):
            raise not_found("image content", request.sha256)
        path = self._contents.blobs.path(request.sha256)
        async for piece in reading.pieces(path, request.offset):
            yield verbs.FetchImageResponse(data=piece)

    async def StoreImage(
        self, request_iterator: AsyncIterator[verbs.StoreImageRequest], context: Any
    ) -> verbs.StoreImageResponse:
        first = await anext(request_iterator, None)
        if first is None or not first.image_id:
            raise invalid("image_id", "the first message must name the image")
        chunks = _chunks(first, request_iterator)
        try:
            image = await self._uploads.receive_from(current().host_id, first.image_id, chunks)
        except CloudError:
            await drain(request_iterator)
            raise
        return verbs.StoreImageResponse(sha256=image.sha256)


async def _chunks(
    first: verbs.StoreImageRequest, rest: AsyncIterator[verbs.StoreImageRequest]
) -> AsyncIterator[bytes]:
    yield first.data
    async for request in rest:
        if request.image_id not in ("", first.image_id):
            raise invalid("image_id", "one upload is for one image")
        yield request.data
