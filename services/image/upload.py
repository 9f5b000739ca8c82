"""An upload's way: claim the image, take the bytes, look at them, put them in their place.

Whatever goes wrong on it, the image is QUEUED again and nothing of the content stays.
"""

import asyncio
import hashlib
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from typing import BinaryIO, TypeVar

from mesh import limits as quota
from mesh.caller import Caller
from mesh.database import Database
from mesh.errors import CloudError, wrong_status
from mesh.limits import Limits
from services.image import blobs, formats, store
from services.image.contents import Contents
from services.image.model import UPLOAD_BEAT, Content, Image
from services.image.pour import Pour

# Seconds without a byte after which the uploader is taken for gone.
STALL = 60.0
T = TypeVar("T")


class Uploads:
    """Takes the contents of images."""

    def __init__(self, database: Database, contents: Contents, limits: Limits) -> None:
        self._database, self._contents, self._limits = database, contents, limits

    async def receive(self, caller: Caller, image_id: str, chunks: AsyncIterator[bytes]) -> Image:
        """Give an image its content: it is ACTIVE when this returns.

        Raises WRONG_STATUS unless it is QUEUED, IMAGE_REFUSED, DIGEST_MISMATCH, UPLOAD_INCOMPLETE,
        QUOTA_EXCEEDED, STORAGE_FULL.
        """
        return await self._finish(await self._database.write(store.uploads.begin, image_id, caller), chunks)

    async def receive_from(self, host_id: str, image_id: str, chunks: AsyncIterator[bytes]) -> Image:
        """The same from a host: one that is ACTIVE already is answered. Raises NOT_FOUND besides, unless the
        content is to come from there.
        """
        image = await self._database.write(store.uploads.expected_of, image_id, host_id)
        if image.status == "ACTIVE":
            return image
        return await self._finish(
            await self._database.write(store.uploads.begin_from, image_id, host_id), chunks
        )

    async def _finish(self, upload: Image, chunks: AsyncIterator[bytes]) -> Image:
        try:
            return await self._receive(upload, chunks)
        except OSError as error:
            full = self._contents.blobs.full(0) if blobs.is_full(error) else None
            await _to_its_end(self._give_up(upload, full or error))
            raise full or error from error
        except BaseException as error:
            await _to_its_end(self._give_up(upload, error))
            raise

    async def _receive(self, upload: Image, chunks: AsyncIterator[bytes]) -> Image:
        limits = await self._limits.of(upload.project_id)
        used = await self._database.read(store.images.used_bytes, upload.project_id)
        with self._contents.blobs.spool() as file:
            alive = asyncio.create_task(self._beat(upload), name=f"upload {upload.id}")
            try:
                content = await _take(file, _guarded(upload, alive, chunks, limits, used), upload)
            finally:
                alive.cancel()
            return await _to_its_end(self._contents.publish(upload, content, file, limits))

    async def _beat(self, upload: Image) -> None:
        """Say that the upload lives, until it is no longer believed."""
        believed = True
        while believed:
            believed = await self._database.write(store.uploads.beat, upload)
            await asyncio.sleep(UPLOAD_BEAT.total_seconds())

    async def _give_up(self, upload: Image, error: BaseException) -> None:
        reason = error.message if isinstance(error, CloudError) else "The upload was cut: begin it again."
        await self._database.write(store.uploads.give_up, upload, reason)


async def _take(file: BinaryIO, chunks: AsyncIterator[bytes], upload: Image) -> Content:
    """Spool everything, and look at it."""
    sha256, sha512, size = hashlib.sha256(), hashlib.sha512(), 0
    async with Pour([_hashing(sha256), _hashing(sha512), _writing(file)]) as pour:
        async for chunk in chunks:
            size += len(chunk)
            await pour.put(chunk)
    if not size:
        raise _incomplete(0, "brought nothing")
    if upload.expected_sha256 not in ("", sha256.hexdigest()):
        raise CloudError(
            "DIGEST_MISMATCH",
            "What arrived has another SHA-256 than the image says: upload it again.",
            algorithm="sha256",
            expected=upload.expected_sha256,
            actual=sha256.hexdigest(),
        )
    virtual = await asyncio.to_thread(formats.inspect, file, size, upload.disk_format)
    return Content(size, virtual, sha256.hexdigest(), sha512.hexdigest())


async def _guarded(
    upload: Image,
    alive: asyncio.Task[None],
    chunks: AsyncIterator[bytes],
    limits: Mapping[str, int],
    used: int,
) -> AsyncIterator[bytes]:
    """The chunks, for as long as they come, are within the quota and are still wanted."""
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
        if alive.done():
            alive.result()
            raise wrong_status("image", upload.id, "no longer for this upload", ["SAVING"])
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
    def consume(batch: Sequence[bytes]) -> None:
        for chunk in batch:
            rest = memoryview(chunk)
            while rest:
                rest = rest[file.write(rest) :]

    return consume


async def _to_its_end(work: Awaitable[T]) -> T:
    """Finish the work also when the caller goes away meanwhile: half of it must not stay."""
    task = asyncio.ensure_future(work)
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        await asyncio.wait([task])
        raise
