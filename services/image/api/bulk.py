"""The content of images as plain bytes: UploadImage and DownloadImage without messages."""

import base64
import re
from collections.abc import Mapping
from dataclasses import dataclass

from google.protobuf.empty_pb2 import Empty

from mesh.bulk import Behaviour, Call
from mesh.caller import current
from services.image import messages, reading
from services.image.api.base import Api, Parts
from services.image.api.content import CONTENT_TYPE, ContentApi
from services.image.model import Image
from weft.image.v1 import image_service_pb2 as verbs
from weft.image.v1 import resources_pb2 as pb

_RANGE = re.compile(r"bytes=(\d{0,18})-(\d{0,18})")


@dataclass(frozen=True, slots=True)
class Range:
    """The bytes from `offset` to `end`; `asked`: the client named them by a header."""

    offset: int
    end: int
    asked: bool = False

    @classmethod
    def of(cls, header: str, size: int) -> "Range | None":
        """What a Range header names of so many bytes; None where it is nothing of them (RFC 9110, 14).

        What is no single range is all of it.
        """
        found = _RANGE.fullmatch(header.strip())
        if found is None or found.groups() == ("", ""):
            return cls(0, size)
        if not found[1]:
            offset, end = max(0, size - int(found[2])), size
        else:
            offset, end = int(found[1]), min(size, int(found[2] or size) + 1)
        return cls(offset, end, asked=True) if offset < end else None


class BulkApi(Api):
    """Bytes in, bytes out."""

    def __init__(self, parts: Parts, contents: ContentApi) -> None:
        super().__init__(parts)
        self._content = contents

    async def upload(self, request: verbs.UploadImageRequest, call: Call) -> pb.Image:
        """PUT: the body is the content."""
        chunks = call.exchange.chunks()
        return messages.image(await self._uploads.receive(current(), request.id, chunks))

    async def download(self, request: verbs.DownloadImageRequest, call: Call) -> Empty:
        """GET: all of the content, or what `offset` and `length` or a Range header name of it."""
        image = await self._content.given(request.id)
        async with reading.opened(self._contents.blobs.path(image.sha256)) as descriptor:
            if request.offset or request.length:
                end = reading.end_of(image.size_bytes, request.offset, request.length)
                await _give(call, descriptor, Range(request.offset, end), {})
            else:
                await _give_asked(call, descriptor, image)
        return Empty()


def in_bulk(parts: Parts, contents: ContentApi) -> Mapping[str, Behaviour]:
    """The RPCs that are served so, by path."""
    api = BulkApi(parts, contents)
    return {
        "/weft.image.v1.ImageService/UploadImage": api.upload,
        "/weft.image.v1.ImageService/DownloadImage": api.download,
    }


async def _give_asked(call: Call, descriptor: int, image: Image) -> None:
    """By the Range header, which counts for nothing where it is of another content (If-Range)."""
    digest = base64.b64encode(bytes.fromhex(image.sha256)).decode()
    about = {"Accept-Ranges": "bytes", "ETag": f'"{image.sha256}"', "Repr-Digest": f"sha-256=:{digest}:"}
    same = call.headers.get("if-range", about["ETag"]) == about["ETag"]
    range = Range.of(call.headers.get("range", "") if same else "", image.size_bytes)
    if range is None:
        nothing = {**about, "Content-Range": f"bytes */{image.size_bytes}", "Content-Length": "0"}
        await call.exchange.answer(416, nothing.items())
        return
    if range.asked:
        about["Content-Range"] = f"bytes {range.offset}-{range.end - 1}/{image.size_bytes}"
    await _give(call, descriptor, range, about)


async def _give(call: Call, descriptor: int, range: Range, about: Mapping[str, str]) -> None:
    length = str(range.end - range.offset)
    headers = {**about, "Content-Type": CONTENT_TYPE, "Content-Length": length}
    await call.exchange.answer(206 if range.asked else 200, headers.items())
    if call.method != "HEAD":
        await call.exchange.give(descriptor, range.offset, range.end)
