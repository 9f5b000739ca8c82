"""Contents as files, named by their SHA-256: `<root>/<first two digits>/<digest>`.

What arrives is spooled in `<root>/incoming`, on the same file system, and is moved into place once it is
known and on the disk. Files are put and taken away only under the lock of their directory, which covers the
rows that refer to them too: see contents.py.
"""

import asyncio
import errno
import fcntl
import os
import shutil
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import BinaryIO

from mesh import ids
from mesh.errors import CloudError

_LOCK_PAUSE = 0.01


class Blobs:
    """A directory of contents. Its processes may be many: all coordination is by locks on its files."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self._incoming = root / "incoming"
        self._incoming.mkdir(parents=True, exist_ok=True, mode=0o700)

    def path(self, sha256: str) -> Path:
        """Where the content with this digest is, or would be."""
        return self.root / sha256[:2] / sha256

    @contextmanager
    def spool(self) -> Iterator[BinaryIO]:
        """A new file, locked against the sweep; gone at the end unless `place` moved it."""
        path = self._incoming / ids.new()
        with path.open("x+b", buffering=0) as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            try:
                yield file
            finally:
                path.unlink(missing_ok=True)

    @asynccontextmanager
    async def alone(self, sha256: str) -> AsyncIterator[None]:
        """Nobody else puts or takes away contents whose digest begins with the same two digits."""
        directory = self.path(sha256).parent
        directory.mkdir(exist_ok=True, mode=0o700)
        descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
        try:
            while not _locked(descriptor):  # noqa: ASYNC110 - the other may be another process
                await asyncio.sleep(_LOCK_PAUSE)
            yield
        finally:
            os.close(descriptor)

    def place(self, file: BinaryIO, sha256: str) -> None:
        """Move a spooled file, already on the disk, to its place. To be called within `alone`."""
        path = self.path(sha256)
        os.replace(file.name, path)
        _sync_directory(path.parent)

    def remove(self, sha256: str) -> None:
        """Take a content away; whoever is reading it reads on. To be called within `alone`."""
        self.path(sha256).unlink(missing_ok=True)

    def digests(self) -> Iterator[str]:
        """The digests of all contents that are there."""
        for directory in self.root.glob("[0-9a-f][0-9a-f]"):
            yield from (path.name for path in directory.iterdir())

    def forget_torn(self) -> int:
        """Remove spooled files that no live process writes to any more; how many there were."""
        return sum(_remove_if_torn(path) for path in self._incoming.iterdir())

    @contextmanager
    def telling_when_full(self) -> Iterator[None]:
        """Raises STORAGE_FULL for the error of a disk without room."""
        try:
            yield
        except OSError as error:
            if error.errno not in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
                raise
            free = shutil.disk_usage(self.root).free
            message = "The image store's disk is full: free some room, or delete images."
            raise CloudError("STORAGE_FULL", message, needed_bytes=0, free_bytes=free) from error


def _locked(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _remove_if_torn(path: Path) -> bool:
    try:
        with path.open("rb") as file:
            if not _locked(file.fileno()):
                return False
            path.unlink(missing_ok=True)
    except FileNotFoundError:
        return False  # its upload ended meanwhile
    return True


def _sync_directory(directory: Path) -> None:
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
