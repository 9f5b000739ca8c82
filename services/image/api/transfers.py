"""How hosts get the content of images."""

from collections.abc import AsyncIterator
from typing import Any

from mesh.errors import not_found
from services.image import reading, store
from services.image.api.base import Api
from weft.image.v1 import transfer_service_pb2 as verbs
from weft.image.v1 import transfer_service_pb2_grpc


class TransferApi(Api, transfer_service_pb2_grpc.TransferServiceServicer):
    """weft.image.v1.TransferService."""

    async def FetchImage(
        self, request: verbs.FetchImageRequest, context: Any
    ) -> AsyncIterator[verbs.FetchImageResponse]:
        # By content, not by record: a host may still need what a deleted image had, if another has it.
        if not await self._database.read(store.images.refers, request.sha256, active=True):
            raise not_found("image content", request.sha256)
        path = self._contents.blobs.path(request.sha256)
        async for piece in reading.pieces(path, request.offset):
            yield verbs.FetchImageResponse(data=piece)
