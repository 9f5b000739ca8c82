"""Contents of images: streamed up, never held here, and given out by the edge from where they are."""

import re
from collections.abc import AsyncIterator

from google.api.httpbody_pb2 import HttpBody
from starlette.responses import Response

from gateway.openstack.call import Call
from gateway.openstack.faults import Refusal
from gateway.openstack.image.images import get
from weft.image.v1 import image_service_pb2 as pb
from weft.image.v1.image_service_pb2_grpc import ImageServiceStub
from weft.image.v1.resources_pb2 import IMAGE_STATUS_DEACTIVATED

_TYPE = "application/octet-stream"
# Messages of the upload hold this many bytes.
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
    _check_range(call, image.size_bytes)
    # The edge goes there itself, and the client sees what it finds: see gateway/edge/contents.py.
    return Response(None, 307, {"location": f"{call.root}/image/v1/images/{image.id}/file"})


async def _pieces(call: Call) -> AsyncIterator[pb.UploadImageRequest]:
    yield pb.UploadImageRequest(id=call.params["id"], file=HttpBody(content_type=_TYPE))
    gathered = bytearray()
    async for chunk in call.request.stream():
        gathered += chunk
        while len(gathered) >= _PIECE:
            yield _message(gathered)
    if gathered:
        yield _message(gathered)


def _message(gathered: bytearray) -> pb.UploadImageRequest:
    """With what there is, up to a piece: a message costs as much as some 50 KiB of it."""
    data = bytes(memoryview(gathered)[:_PIECE])
    del gathered[:_PIECE]
    return pb.UploadImageRequest(file=HttpBody(data=data))


def _check_range(call: Call, size: int) -> None:
    """Raises Refusal (416) for a range that is not there."""
    asked = call.request.headers.get("range", "")
    found = _RANGE.fullmatch(asked)
    if found and int(found[1]) > min(int(found[2] or size - 1), size - 1):
        raise Refusal(416, f"The image has {size} bytes: {asked} is outside of them.")
