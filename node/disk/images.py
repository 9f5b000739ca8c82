"""Images that guests on this host begin from, kept by what is in them.

A file's name is its digest, and nobody writes to it again: guests get an overlay. A fetch that was cut goes
on where it ended; those who want the same image at the same time share one fetch.
"""

import asyncio
import hashlib
import os
import time
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mesh import tracing
from mesh.channel import Peers
from mesh.errors import CloudError
from node.disk import qemu_img
from weft.image.v1.transfer_service_pb2 import FetchImageRequest, StoreImageRequest
from weft.image.v1.transfer_service_pb2_grpc import TransferServiceStub

# An image that no guest's disk is built on is kept for so long after it was last wanted.
UNUSED_SECONDS = 7 * 24 * 3600
_FETCH_SECONDS = 3600
_ATTEMPTS = 5
_CHUNK = 1 << 20


@dataclass(frozen=True, slots=True)
class Wanted:
    """An image as named to us; `format` is `raw`, `qcow2` or `iso`. `grant` lets this host fetch."""

    image_id: str
    sha256: str
    size_bytes: int
    format: str
    grant: bytes = b""

    @property
    def layout(self) -> str:
        """What QEMU calls the format."""
        return layout(self.format)


def layout(format: str) -> str:
    """What QEMU calls an image's format: an ISO image is a disk's bytes as they are."""
    return "raw" if format == "iso" else format


@dataclass(frozen=True, slots=True)
class Staged:
    """An image in the cache."""

    cached: bool
    virtual_size_bytes: int


class Images(ABC):
    """The host's cache of images."""

    @abstractmethod
    async def stage(self, wanted: Wanted) -> Staged:
        """Have it here. DIGEST_MISMATCH, STORAGE_FULL, UNAVAILABLE, NOT_FOUND."""

    @abstractmethod
    def locate(self, sha256: str) -> Path:
        """Its file. WRONG_STATUS when it is not staged."""

    @abstractmethod
    async def bring(self, image_id: str, file: Path) -> None:
        """Give the image service the content of an image that is to come from this host.

        NOT_FOUND when there is no such image, UNAVAILABLE, QUOTA_EXCEEDED, STORAGE_FULL.
        """


async def send(peers: Peers, image_id: str, pieces: AsyncIterator[bytes]) -> None:
    """Send what an image is to be, piece by piece of at most 1 MiB."""

    async def requests() -> AsyncIterator[StoreImageRequest]:
        yield StoreImageRequest(image_id=image_id)
        async for piece in pieces:
            yield StoreImageRequest(data=piece)

    stub: Any = peers.stub(TransferServiceStub, service="image")
    await stub.StoreImage(requests(), timeout=_FETCH_SECONDS)


class ImageCache(Images):
    """Files in `folder`, fetched from the image service."""

    def __init__(self, folder: Path, peers: Peers) -> None:
        self._folder = folder
        self._peers = peers
        self._fetches: dict[str, asyncio.Task[None]] = {}
        folder.mkdir(parents=True, exist_ok=True)

    async def stage(self, wanted: Wanted) -> Staged:
        path = self._folder / wanted.sha256
        cached = path.exists()
        if not cached:
            await asyncio.shield(self._fetch_once(wanted))
        os.utime(path)
        return Staged(cached, await _virtual_size(path, wanted.layout))

    def locate(self, sha256: str) -> Path:
        path = self._folder / sha256
        if not path.exists():
            message = f"The image content {sha256} is not on this host: stage it first."
            raise CloudError(
                "WRONG_STATUS", message, resource_type="image", id=sha256, status="ABSENT", allowed="STAGED"
            )
        return path

    async def bring(self, image_id: str, file: Path) -> None:
        with tracing.span("bring image", weft_image_id=image_id):
            await send(self._peers, image_id, _pieces(file))

    def expire(self, in_use: set[str]) -> list[str]:
        """Remove what no disk is built on and nobody wanted for a week; answers what went. Blocks."""
        oldest = time.time() - UNUSED_SECONDS
        gone = []
        for path in self._folder.iterdir():
            digest = path.name.partition(".")[0]
            if digest not in in_use | set(self._fetches) and path.stat().st_mtime < oldest:
                path.unlink()
                gone.append(digest)
        return gone

    def _fetch_once(self, wanted: Wanted) -> asyncio.Task[None]:
        fetch = self._fetches.get(wanted.sha256)
        if fetch is None:
            fetch = self._fetches[wanted.sha256] = asyncio.create_task(self._fetch(wanted))
            fetch.add_done_callback(lambda _: self._fetches.pop(wanted.sha256))
        return fetch

    async def _fetch(self, wanted: Wanted) -> None:
        part = self._folder / f"{wanted.sha256}.part"
        with tracing.span("fetch image", weft_image_id=wanted.image_id):
            digest = await asyncio.to_thread(_hash_part, part, wanted.size_bytes)
            qemu_img.need_room(self._folder, wanted.size_bytes - _length(part))
            await self._receive(wanted, part, digest)
            if digest.hexdigest() != wanted.sha256:
                part.unlink()
                raise _mismatch(wanted, digest.hexdigest())
            await _refuse_outside_references(part, wanted)
            await asyncio.to_thread(_publish, part, self._folder / wanted.sha256)

    async def _receive(self, wanted: Wanted, part: Path, digest: Any) -> None:
        """Append the rest to `part`, again from where it stopped as long as the service comes back."""
        for attempt in range(_ATTEMPTS):
            try:
                return await self._stream(wanted, part, digest)
            except CloudError as error:
                if not error.retryable or attempt == _ATTEMPTS - 1:
                    raise
                await asyncio.sleep(0.2 * 2**attempt)
        return None

    async def _stream(self, wanted: Wanted, part: Path, digest: Any) -> None:
        offset = _length(part)
        if offset == wanted.size_bytes:
            return
        request = FetchImageRequest(
            image_id=wanted.image_id, sha256=wanted.sha256, offset=offset, grant=wanted.grant
        )
        stub = self._peers.stub(TransferServiceStub, service="image")
        with part.open("ab") as file:
            chunks: Any = stub.FetchImage(request, timeout=_FETCH_SECONDS)
            async for chunk in chunks:
                await asyncio.to_thread(_append, file, digest, chunk.data)
        if _length(part) < wanted.size_bytes:
            message = "The image service ended the transfer too early."
            raise CloudError("UNAVAILABLE", message, service="image")


async def _pieces(file: Path) -> AsyncIterator[bytes]:
    with file.open("rb") as opened:
        while piece := await asyncio.to_thread(opened.read, _CHUNK):
            yield piece


def _length(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


def _hash_part(part: Path, most_bytes: int) -> Any:
    """The digest so far of a fetch that was cut. One that is longer than the image begins again."""
    if _length(part) > most_bytes:
        part.unlink()
    digest = hashlib.sha256()
    if part.exists():
        with part.open("rb") as file:
            while block := file.read(_CHUNK):
                digest.update(block)
    return digest


def _append(file: Any, digest: Any, data: bytes) -> None:
    try:
        file.write(data)
    except OSError as error:
        raise qemu_img.full(Path(file.name).parent, len(data)) from error
    digest.update(data)


def _publish(part: Path, path: Path) -> None:
    with part.open("rb") as file:
        os.fsync(file.fileno())
    part.chmod(0o444)
    part.rename(path)


async def _refuse_outside_references(part: Path, wanted: Wanted) -> None:
    """The image service refuses these too; here they would open this host's files to a guest."""
    said = await qemu_img.info(part, wanted.layout)
    details = said.get("format-specific", {}).get("data", {})
    outside = said.get("backing-filename") or details.get("data-file")
    if outside:
        await asyncio.to_thread(part.unlink)
        raise CloudError(
            "IMAGE_REFUSED",
            f"The image {wanted.image_id} refers to another file.",
            format=wanted.format,
            detail="backing or data file",
        )


async def _virtual_size(path: Path, format: str) -> int:
    if format == "raw":
        return _length(path)
    return int((await qemu_img.info(path, format))["virtual-size"])


def _mismatch(wanted: Wanted, actual: str) -> CloudError:
    return CloudError(
        "DIGEST_MISMATCH",
        f"What arrived of the image {wanted.image_id} is not what its digest says.",
        algorithm="sha256",
        expected=wanted.sha256,
        actual=actual,
    )
