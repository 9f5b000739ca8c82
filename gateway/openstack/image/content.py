"""Contents of images: streamed both ways, never held here."""

import re
from collections.abc import AsyncIterator
from typing import Any

from google.api.httpbody_pb2 import HttpBody
from starlette.responses import Response, StreamingResponse

from gateway.openstack.call import Call
from gateway.openstack.faults import Refusal
from gateway.openstack.image.images import get
from weft.image.v1 import image_service_pb2 as pb
from weft.image.v1.image_service_pb2_grpc import ImageServiceStub
from weft.image.v1.resources_pb2 import IMAGE_STATUS_DEACTIVATED

_TYPE = "application/octet-stream"
# Messages of the upload hold at most this many bytes.
_PIECE = 1 << 20
_RANGE = re.compile(r"bytes=(\d{1,18})-(\d{0,18})")


async def upload(call: Call) -> None:
    """PUT /v2/images/{id}/file."""
    if call.request.headers.get("content-type", "").partition(";")[0].strip() != _TYPE:
        raise Refusal(415, f"The content of an image is sent as {_TYPE}.")
    await call.stub(ImageServiceStub).UploadImage(_pieces(call))


async def download(call: Call) -> Response:
    """GET /v2/images/{id}/file: all of it or one range; nothing (204) where there is no content yet."""
    image = await get(call)
    if not image.sha512:
        return Response(status_code=204)
    if image.status == IMAGE_STATUS_DEACTIVATED:
        raise Refusal(403, "The requested image has been deactivated. Image data download is forbidden.")
    first, last, partial = _range(call, image.size_bytes)
    request = pb.DownloadImageRequest(id=image.id, offset=first, length=last + 1 - first if partial else 0)
    pieces = call.stub(ImageServiceStub).DownloadImage(request)
    begun = await anext(pieces, None)  # what fails does so here, while it can still be said
    headers = {"content-length": str(last + 1 - first)}
    if partial:
        headers["content-range"] = f"bytes {first}-{last}/{image.size_bytes}"
    return StreamingResponse(_rest(begun, pieces), 206 if partial else 200, headers, media_type=_TYPE)


async def _pieces(call: Call) -> AsyncIterator[pb.UploadImageRequest]:
    yield pb.UploadImageRequest(id=call.params["id"], file=HttpBody(content_type=_TYPE))
    async for chunk in call.request.stream():
        for start in range(0, len(chunk), _PIECE):
            yield pb.UploadImageRequest(file=HttpBody(data=chunk[start : start + _PIECE]))


async def _rest(begun: HttpBody | None, pieces: AsyncIterator[Any]) -> AsyncIterator[bytes]:
    if begun is not None:
        yield begun.data
    async for piece in pieces:
        yield piece.data


def _range(call: Call, size: int) -> tuple[int, int, bool]:
    """First and last byte, and whether that is a range that was asked for. Raises Refusal (416)."""
    asked = call.request.headers.get("range", "")
    found = _RANGE.fullmatch(asked)
    if found is None:
        return 0, size - 1, False
    first, last = int(found[1]), min(int(found[2] or size - 1), size - 1)
    if first > last:
        raise Refusal(416, f"The image has {size} bytes: {asked} is outside of them.")
    return first, last, True
