"""An image service in memory, behind the stub that hosts call."""

import hashlib
import subprocess
import uuid
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

from mesh.errors import CloudError, not_found
from node.disk.images import Wanted
from weft.image.v1.transfer_service_pb2 import (
    FetchImageRequest,
    FetchImageResponse,
    StoreImageRequest,
    StoreImageResponse,
)

CHUNK = 64 * 1024


class ImageService:
    """Serves contents by digest. `cut_after` ends the next transfer after so many chunks."""

    def __init__(self) -> None:
        self._contents: dict[str, bytes] = {}
        self.offsets: list[int] = []
        self.cut_after: int | None = None
        self.brought: dict[str, bytes] = {}

    def add(self, content: bytes, format: str = "raw") -> Wanted:
        """Have an image."""
        digest = hashlib.sha256(content).hexdigest()
        self._contents[digest] = content
        return Wanted(str(uuid.uuid4()), digest, len(content), format)

    def corrupt(self, wanted: Wanted) -> None:
        """Serve other bytes than the digest says."""
        self._contents[wanted.sha256] = bytes(wanted.size_bytes)

    def stub(self, stub_class: type, service: str) -> Any:
        """What mesh.channel.Peers answers."""
        assert service == "image"
        return self

    async def FetchImage(
        self, request: FetchImageRequest, timeout: float
    ) -> AsyncIterator[FetchImageResponse]:
        """The stream of the contract."""
        self.offsets.append(request.offset)
        content = self._contents.get(request.sha256)
        if content is None:
            raise not_found("image", request.image_id)
        cut, self.cut_after = self.cut_after, None
        for number, start in enumerate(range(request.offset, len(content), CHUNK)):
            if cut is not None and number >= cut:
                raise CloudError("UNAVAILABLE", "The connection broke.", service="image")
            yield FetchImageResponse(data=content[start : start + CHUNK])

    async def StoreImage(
        self, requests: AsyncIterator[StoreImageRequest], timeout: float
    ) -> StoreImageResponse:
        """The contract's other direction."""
        content, image_id = b"", ""
        async for request in requests:
            image_id, content = image_id or request.image_id, content + request.data
        self.brought[image_id] = content
        return StoreImageResponse(sha256=hashlib.sha256(content).hexdigest())


def qcow2(folder: Path, content: bytes, *options: str) -> bytes:
    """An image file whose disk begins with `content`."""
    raw, image = folder / "content.raw", folder / "content.qcow2"
    raw.write_bytes(content)
    subprocess.run(["qemu-img", "convert", "-f", "raw", "-O", "qcow2", *options, raw, image], check=True)
    return image.read_bytes()
