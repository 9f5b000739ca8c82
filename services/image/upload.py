"""An upload's way: claim the image, take the bytes, look at them, put them in their place.

Whatever goes wrong on it, the image is QUEUED again and nothing of the content stays.
"""

import asyncio
from collections.abc import AsyncIterator

from mesh.caller import Caller
from mesh.database import Database
from mesh.errors import CloudError, wrong_status
from mesh.limits import Limits
from mesh.together import to_its_end
from services.image import store, taking
from services.image.contents import Contents
from services.image.model import UPLOAD_BEAT, Image


class Uploads:
    """Takes the contents of images."""

    def __init__(self, database: Database, contents: Contents, limits: Limits) -> None:
        self._database, self._contents, self._limits = database, contents, limits

    async def receive(self, caller: Caller, image_id: str, chunks: AsyncIterator[bytes]) -> Image:
        """Give an image its content: it is ACTIVE when this returns.

        Raises WRONG_STATUS unless it is QUEUED, IMAGE_REFUSED, CONTENT_MISMATCH, UPLOAD_INCOMPLETE,
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
            with self._contents.blobs.telling_when_full():
                return await self._receive(upload, chunks)
        except BaseException as error:
            await to_its_end(self._give_up(upload, error))
            raise

    async def _receive(self, upload: Image, chunks: AsyncIterator[bytes]) -> Image:
        limits = await self._limits.of(upload.project_id)
        used = await self._database.read(store.images.used_bytes, upload.project_id)
        with self._contents.blobs.spool() as file:
            alive = asyncio.create_task(self._beat(upload), name=f"upload {upload.id}")
            try:
                wanted = _while_wanted(upload, alive, taking.bounded(chunks, limits, used))
                content = await taking.take(file, wanted, upload.disk_format, upload.expected_sha256)
            finally:
                alive.cancel()
            return await self._contents.publish(content, file, store.uploads.finish, upload, content, limits)

    async def _beat(self, upload: Image) -> None:
        """Say that the upload lives, until it is no longer believed."""
        believed = True
        while believed:
            believed = await self._database.write(store.uploads.beat, upload)
            await asyncio.sleep(UPLOAD_BEAT.total_seconds())

    async def _give_up(self, upload: Image, error: BaseException) -> None:
        reason = error.message if isinstance(error, CloudError) else "The upload was cut: begin it again."
        await self._database.write(store.uploads.give_up, upload, reason)


async def _while_wanted(
    upload: Image, alive: asyncio.Task[None], chunks: AsyncIterator[bytes]
) -> AsyncIterator[bytes]:
    """The chunks, until the upload is no longer believed to live."""
    async for chunk in chunks:
        if alive.done():
            alive.result()
            raise wrong_status("image", upload.id, "no longer for this upload", ["SAVING"])
        yield chunk
