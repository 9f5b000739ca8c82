"""Disks, images and exports without a byte on the disk, for simulated hosts."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from mesh.errors import not_found
from node.disk.exports import Exports
from node.disk.images import Images, Staged, Wanted
from node.disk.storage import Room, Storage, making
from node.ledger import ExportRecord
from weft.node.v1.resources_pb2 import GuestSpec

_TIB = 1 << 40


class SimulatedStorage(Storage):
    """Knows how large each disk would be."""

    def __init__(self, size_bytes: int = 10 * _TIB) -> None:
        self._size_bytes = size_bytes
        self._disks: dict[Path, int] = {}

    def exists(self, path: Path) -> bool:
        return path in self._disks

    def free(self) -> int:
        return self._size_bytes

    def room(self) -> Room:
        return Room(self._size_bytes, self._size_bytes)

    async def blank(self, path: Path, size_bytes: int) -> None:
        self._disks[path] = size_bytes

    async def overlay(self, path: Path, base: Path, base_format: str, size_bytes: int) -> None:
        self._disks[path] = size_bytes

    async def config_drive(self, path: Path, spec: GuestSpec) -> None:
        self._disks[path] = 0

    async def copy(self, path: Path, source: Path) -> None:
        self._disks[path] = self._disks[source]

    async def convert(self, path: Path, source: str, source_format: str, size_bytes: int) -> None:
        self._disks[path] = size_bytes

    @asynccontextmanager
    async def writing(self, path: Path) -> AsyncIterator[Path]:
        yield making(path)
        self._disks[path] = 0

    async def grow(self, path: Path, size_bytes: int) -> None:
        if path not in self._disks:
            raise not_found("volume", path.stem)
        self._disks[path] = max(size_bytes, self._disks[path])

    async def remove(self, path: Path) -> None:
        for known in [each for each in self._disks if each == path or path in each.parents]:
            del self._disks[known]

    def taken(self, path: Path) -> int:
        return 0


class SimulatedImages(Images):
    """Has every image."""

    async def stage(self, wanted: Wanted) -> Staged:
        return Staged(True, 0)

    def locate(self, sha256: str) -> Path:
        return Path("/simulated") / sha256


class SimulatedExports(Exports):
    """Serves nothing, at addresses of nobody."""

    def __init__(self) -> None:
        self._served: set[str] = set()

    def address(self, export_id: str) -> str:
        return "192.0.2.1:10809"  # TEST-NET-1 of RFC 5737

    def running(self, export_id: str) -> bool:
        return export_id in self._served

    async def start(self, export: ExportRecord, disk: Path) -> None:
        self._served.add(export.id)

    async def stop(self, export_id: str) -> None:
        self._served.discard(export_id)

    async def copy(self, export_id: str, target: Path, size_bytes: int) -> None:
        return None
