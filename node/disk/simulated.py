"""Disks, images and exports without a byte on the disk, for simulated hosts."""

import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from mesh.errors import not_found
from node.disk.exports import Exports
from node.disk.images import Images, Staged, Wanted, send
from node.disk.storage import Room, Storage, making
from node.kept import Kept
from node.ledger import ExportRecord
from weft.node.v1.resources_pb2 import GuestSpec

_TIB = 1 << 40


class SimulatedStorage(Storage):
    """Knows how large each disk would be; `file` keeps that over a restart of the agent."""

    def __init__(self, file: Path | None = None, size_bytes: int = 10 * _TIB) -> None:
        self._size_bytes = size_bytes
        self._disks = Kept(file)

    def exists(self, path: Path) -> bool:
        return str(path) in self._disks

    def free(self) -> int:
        return self._size_bytes

    def room(self) -> Room:
        return Room(self._size_bytes, self._size_bytes)

    async def blank(self, path: Path, size_bytes: int) -> None:
        self._made(path, size_bytes)

    async def overlay(self, path: Path, base: Path, base_format: str, size_bytes: int) -> None:
        self._made(path, size_bytes)

    async def config_drive(self, path: Path, spec: GuestSpec) -> None:
        self._made(path, 0)

    async def copy(self, path: Path, source: Path) -> None:
        self._made(path, self._disks[str(source)])

    async def convert(self, path: Path, source: str, source_format: str, size_bytes: int) -> None:
        self._made(path, size_bytes)

    async def flatten(self, path: Path, source: Path, source_format: str) -> None:
        self._made(path, self._disks[str(source)])

    async def grow_overlay(self, path: Path, size_bytes: int) -> None:
        await self.grow(path, size_bytes)

    async def move(self, path: Path, source: Path) -> None:
        self._made(path, self._disks.pop(str(source)))

    @asynccontextmanager
    async def writing(self, path: Path) -> AsyncIterator[Path]:
        yield making(path)
        self._made(path, 0)

    async def grow(self, path: Path, size_bytes: int) -> None:
        if not self.exists(path):
            raise not_found("volume", path.stem)
        self._made(path, max(size_bytes, self._disks[str(path)]))

    async def remove(self, path: Path) -> None:
        for known in [each for each in self._disks if path == Path(each) or path in Path(each).parents]:
            del self._disks[known]
        self._disks.keep()

    def taken(self, path: Path) -> int:
        return 0

    def _made(self, path: Path, size_bytes: int) -> None:
        self._disks[str(path)] = size_bytes
        self._disks.keep()


class SimulatedImages(Images):
    """Has every image; what it brings to the image service is an empty disk."""

    def __init__(self, peers: Any) -> None:
        self._peers = peers

    async def stage(self, wanted: Wanted) -> Staged:
        return Staged(True, 0)

    def locate(self, sha256: str) -> Path:
        return Path("/simulated") / sha256

    async def bring(self, image_id: str, file: Path) -> None:
        await send(self._peers, image_id, _an_empty_disk())


async def _an_empty_disk() -> AsyncIterator[bytes]:
    """A qcow2 header (version 2, of QEMU's docs/interop/qcow2.txt) of 1 MiB of nothing, and its tables."""
    cluster = 1 << 16
    header = struct.pack(
        ">4sIQIIQIIQQIIQ", b"QFI\xfb", 2, 0, 0, 16, 1 << 20, 0, 1, 3 * cluster, cluster, 1, 0, 0
    )
    refcounts = struct.pack(">Q", 2 * cluster).ljust(cluster, b"\0")
    counted = struct.pack(">4H", 1, 1, 1, 1).ljust(cluster, b"\0")
    yield header.ljust(cluster, b"\0") + refcounts + counted + bytes(cluster)


class SimulatedExports(Exports):
    """Serves nothing, at addresses of nobody; `file` keeps what, as daemons outlive the agent."""

    def __init__(self, file: Path | None = None) -> None:
        self._served = Kept(file)

    def address(self, export_id: str) -> str:
        return "192.0.2.1:10809"  # TEST-NET-1 of RFC 5737

    def running(self, export_id: str) -> bool:
        return export_id in self._served

    async def start(self, export: ExportRecord, disk: Path) -> None:
        self._served[export.id] = str(disk)
        self._served.keep()

    async def stop(self, export_id: str) -> None:
        self._served.pop(export_id, None)
        self._served.keep()

    async def copy(self, export_id: str, target: Path, size_bytes: int) -> None:
        return None
