"""Content that arrives: bounded, spooled, hashed and looked at on its way."""

import asyncio
import hashlib
import os
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from typing import BinaryIO

from mesh import limits as quota
from mesh.errors import CloudError
from services.image import formats
from services.image.model import Content
from services.image.pour import Pour

# Seconds without a byte after which whoever brings it is taken for gone.
STALL = 60.0
# Bytes after which the disk is set to work.
_WRITE_BACK = 8 << 20


async def take(
    file: BinaryIO, chunks: AsyncIterator[bytes], disk_format: str, expected_sha256: str
) -> Content:
    """Spool everything, and look at it; "" where no digest is expected.

    Raises CONTENT_MISMATCH, IMAGE_REFUSED, UPLOAD_INCOMPLETE where there was nothing.
    """
    sha256, sha512, size = hashlib.sha256(), hashlib.sha512(), 0
    async with Pour([_hashing(sha256), _hashing(sha512), _writing(file)]) as pour:
        async for chunk in chunks:
            size += len(chunk)
            await pour.put(chunk)
    if not size:
        raise _incomplete(0, "brought nothing")
    if expected_sha256 not in ("", sha256.hexdigest()):
        raise CloudError(
            "CONTENT_MISMATCH",
            "What arrived has another SHA-256 than the image says: upload it again.",
            algorithm="sha256",
            expected=expected_sha256,
            actual=sha256.hexdigest(),
        )
    virtual = await asyncio.to_thread(formats.inspect, file, size, disk_format)
    return Content(size, virtual, sha256.hexdigest(), sha512.hexdigest())


async def bounded(chunks: AsyncIterator[bytes], limits: Mapping[str, int], used: int) -> AsyncIterator[bytes]:
    """The chunks, for as long as they come and are within the quota, of which so many bytes are used."""
    size = 0
    while True:
        try:
            async with asyncio.timeout(STALL):
                chunk = await anext(chunks, None)
        except TimeoutError as error:
            raise _incomplete(size, f"brought nothing for {STALL:.0f} s") from error
        if chunk is None:
            return
        size += len(chunk)
        quota.check(limits, "image_bytes", used, size)
        yield chunk


def _incomplete(size: int, what: str) -> CloudError:
    message = f"The upload {what} after {size} bytes: begin it again."
    return CloudError("UPLOAD_INCOMPLETE", message, received_bytes=size)


def _hashing(digest: "hashlib._Hash") -> Callable[[Sequence[bytes]], None]:
    def consume(batch: Sequence[bytes]) -> None:
        for chunk in batch:
            digest.update(chunk)

    return consume


def _writing(file: BinaryIO) -> Callable[[Sequence[bytes]], None]:
    written = told = 0

    def consume(batch: Sequence[bytes]) -> None:
        nonlocal written, told
        for chunk in batch:
            rest = memoryview(chunk)
            while rest:
                rest = rest[file.write(rest) :]
            written += len(chunk)
        if written - told >= _WRITE_BACK:
            # What is not on the disk yet stays in memory and begins its way there: fsync waits for less.
            os.posix_fadvise(file.fileno(), told, written - told, os.POSIX_FADV_DONTNEED)
            told = written

    return consume
