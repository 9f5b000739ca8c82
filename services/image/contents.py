"""Contents and the rows that refer to them, changed together, so that neither outlives the other.

A content is there for as long as a row has its digest: the rows are the count of references. Both change
under the lock of the content's directory; what a crash between the two leaves is swept.
"""

import asyncio
import logging
import os
from collections.abc import Callable
from typing import BinaryIO, Concatenate, ParamSpec, TypeVar

from mesh.database import Connection, Database
from mesh.errors import CloudError
from mesh.together import to_its_end
from services.image import store
from services.image.blobs import Blobs
from services.image.model import Content

P = ParamSpec("P")
T = TypeVar("T")

_log = logging.getLogger(__name__)
_AT_ONCE = 500  # digests that the database is asked about


class Contents:
    """The contents of all images."""

    def __init__(self, database: Database, blobs: Blobs) -> None:
        self._database, self.blobs = database, blobs
        self._suspects: set[str] = set()

    async def publish(
        self,
        content: Content,
        file: BinaryIO,
        refer: Callable[Concatenate[Connection, P], T],
        *args: P.args,
        **kw: P.kwargs,
    ) -> T:
        """Put what was spooled in its place and have `refer(connection, ...)` refer to it: both or neither.

        It ends also when who waits for it goes away. Raises what `refer` does.
        """

        def referring(connection: Connection) -> T:
            return refer(connection, *args, **kw)

        return await to_its_end(self._publish(content, file, referring))

    async def _publish(self, content: Content, file: BinaryIO, refer: Callable[[Connection], T]) -> T:
        await asyncio.to_thread(os.fsync, file.fileno())
        async with self.blobs.alone(content.sha256):
            await asyncio.to_thread(self.blobs.place, file, content.sha256)
            try:
                return await self._database.write(refer)
            except CloudError as error:
                # Of a database that went away nobody knows yet what it has: the sweep finds out later.
                if error.reason != "UNAVAILABLE":
                    await self._remove_unreferenced(content.sha256)
                raise

    async def discard(self, sha256: str) -> None:
        """Take the content away unless an image still has it."""
        async with self.blobs.alone(sha256):
            await self._remove_unreferenced(sha256)

    async def sweep(self) -> None:
        """Remove what crashes left: spooled files without a writer, contents without an image.

        Only what was without one in the sweep before too: a row may be on its way to a database that stood
        still.
        """
        torn = await asyncio.to_thread(self.blobs.forget_torn)
        there, without = await asyncio.to_thread(list, self.blobs.digests()), set[str]()
        for begin in range(0, len(there), _AT_ONCE):
            some = there[begin : begin + _AT_ONCE]
            without |= set(some) - await self._database.read(store.images.referred, some)
        orphans, self._suspects = without & self._suspects, without
        for sha256 in orphans:
            await self.discard(sha256)
        if torn or orphans:
            _log.info("removed %d torn uploads and %d contents without an image", torn, len(orphans))

    async def _remove_unreferenced(self, sha256: str) -> None:
        if not await self._database.read(store.images.refers, sha256):
            await asyncio.to_thread(self.blobs.remove, sha256)
