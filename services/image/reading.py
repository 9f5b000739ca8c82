"""Contents read for sending: the next piece is read while the last is on its way."""

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from mesh.errors import CloudError, invalid, not_found

PIECE_BYTES = 1 << 20


async def pieces(path: Path, offset: int, length: int = 0) -> AsyncIterator[bytes]:
    """The bytes from `offset` on: `length` of them, or to the end for 0. Reads on when the file is deleted.

    Raises INVALID_ARGUMENT when the content ends before `offset`, NOT_FOUND when it was deleted just now.
    """
    async with opened(path) as descriptor:
        end = end_of(os.fstat(descriptor).st_size, offset, length)
        async for piece in _read(descriptor, offset, end):
            yield piece


@asynccontextmanager
async def opened(path: Path) -> AsyncIterator[int]:
    """The file's descriptor, which reads on when the file is deleted. Raises NOT_FOUND."""
    try:
        descriptor = await asyncio.to_thread(os.open, path, os.O_RDONLY)
    except FileNotFoundError as error:
        raise not_found("image content", path.name) from error
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def end_of(size: int, offset: int, length: int) -> int:
    """Where a range ends whose length is 0 for all that is left. Raises INVALID_ARGUMENT."""
    if offset > size:
        raise invalid("offset", f"the content has only {size} bytes")
    return min(size, offset + length) if length else size


async def _read(descriptor: int, offset: int, end: int) -> AsyncIterator[bytes]:
    ahead = _ahead(descriptor, offset, end)
    try:
        while offset < end:
            piece = await ahead
            if not piece:
                raise CloudError("INTERNAL", "The content is shorter than its file was when it was opened.")
            offset += len(piece)
            ahead = _ahead(descriptor, offset, end)
            yield piece
    finally:
        await asyncio.wait([ahead])  # nobody may still read the descriptor when it is closed


def _ahead(descriptor: int, offset: int, end: int) -> "asyncio.Future[bytes]":
    length = max(0, min(PIECE_BYTES, end - offset))
    return asyncio.get_running_loop().run_in_executor(None, os.pread, descriptor, length, offset)
