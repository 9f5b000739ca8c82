"""Where the bytes of disks are: files on the host, or nowhere in a simulation."""

import asyncio
import os
import shutil
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from node.disk import qemu_img
from node.guest import config_drive
from weft.node.v1.resources_pb2 import GuestSpec


@dataclass(frozen=True, slots=True)
class Room:
    """Bytes that are free, and `total`: those and what is ours already."""

    total: int
    free: int


class Storage(ABC):
    """Makes, copies and removes disks. What is made appears under its name complete or not at all.

    Raises STORAGE_FULL when the disk is full and HYPERVISOR_FAILED when a tool fails.
    """

    @abstractmethod
    def exists(self, path: Path) -> bool:
        """Whether there is one."""

    @abstractmethod
    def free(self) -> int:
        """Bytes that are free. Blocks."""

    @abstractmethod
    def room(self) -> Room:
        """How much there is. Blocks."""

    @abstractmethod
    async def blank(self, path: Path, size_bytes: int) -> None:
        """A raw disk of zeroes that takes no room yet."""

    @abstractmethod
    async def overlay(self, path: Path, base: Path, base_format: str, size_bytes: int) -> None:
        """A qcow2 disk that begins as `base`, which it never changes."""

    @abstractmethod
    async def config_drive(self, path: Path, spec: GuestSpec) -> None:
        """A guest's config drive."""

    @abstractmethod
    async def copy(self, path: Path, source: Path) -> None:
        """A raw disk with the content of another, which nobody writes meanwhile."""

    @abstractmethod
    async def convert(self, path: Path, source: str, source_format: str, size_bytes: int) -> None:
        """A raw disk with the content of a file or NBD URL, made as large as said."""

    @abstractmethod
    async def flatten(self, path: Path, source: Path, source_format: str) -> None:
        """A qcow2 disk that needs no other, with the content of one that nobody writes meanwhile."""

    @abstractmethod
    async def grow_overlay(self, path: Path, size_bytes: int) -> None:
        """Makes a qcow2 disk larger, never smaller."""

    @abstractmethod
    async def move(self, path: Path, source: Path) -> None:
        """Gives a disk another name, in place of what has that."""

    @abstractmethod
    def writing(self, path: Path) -> AbstractAsyncContextManager[Path]:
        """For a disk that another writes: under the name given, which becomes `path` when the block ends."""

    @abstractmethod
    async def grow(self, path: Path, size_bytes: int) -> None:
        """Makes a raw disk larger, never smaller."""

    @abstractmethod
    async def remove(self, path: Path) -> None:
        """Removes a file, or a directory and all in it. Succeeds when there is none."""

    @abstractmethod
    def taken(self, path: Path) -> int:
        """Bytes that a disk takes."""


def making(path: Path) -> Path:
    """The name of a disk while it is made. A file of such a name is debris once its maker is gone."""
    return path.with_name(path.name + ".making")


class FileStorage(Storage):
    """Files below `root`."""

    def __init__(self, root: Path) -> None:
        self._root = root
        root.mkdir(parents=True, exist_ok=True)

    def exists(self, path: Path) -> bool:
        return path.exists()

    def free(self) -> int:
        return shutil.disk_usage(self._root).free

    def room(self) -> Room:
        free = self.free()
        return Room(free + sum(_taken_below(self._root)), free)

    async def blank(self, path: Path, size_bytes: int) -> None:
        async with self.writing(path) as part:
            await asyncio.to_thread(sparse, part, size_bytes)

    async def overlay(self, path: Path, base: Path, base_format: str, size_bytes: int) -> None:
        async with self.writing(path) as part:
            command = ("qemu-img", "create", "-q", "-f", "qcow2", "-b", base, "-F", base_format, part)
            await qemu_img.run(*command, str(size_bytes), near=path.parent)

    async def config_drive(self, path: Path, spec: GuestSpec) -> None:
        async with self.writing(path) as part:
            await asyncio.to_thread(config_drive.write, spec, part)

    async def copy(self, path: Path, source: Path) -> None:
        qemu_img.need_room(self._root, self.taken(source))
        async with self.writing(path) as part:
            await qemu_img.run("cp", "--reflink=auto", "--sparse=always", source, part, near=path.parent)

    async def convert(self, path: Path, source: str, source_format: str, size_bytes: int) -> None:
        async with self.writing(path) as part:
            command = ("qemu-img", "convert", "-q", "-f", source_format, "-O", "raw", source, part)
            await qemu_img.run(*command, near=path.parent)
            await asyncio.to_thread(_enlarge, part, size_bytes)

    @asynccontextmanager
    async def writing(self, path: Path) -> AsyncIterator[Path]:
        part = making(path)
        path.parent.mkdir(parents=True, exist_ok=True)
        part.unlink(missing_ok=True)
        try:
            yield part
            await asyncio.to_thread(_publish, part, path)
        finally:
            part.unlink(missing_ok=True)

    async def flatten(self, path: Path, source: Path, source_format: str) -> None:
        qemu_img.need_room(self._root, self.taken(source))
        async with self.writing(path) as part:
            command = ("qemu-img", "convert", "-q", "-f", source_format, "-O", "qcow2", source, part)
            await qemu_img.run(*command, near=path.parent)

    async def grow(self, path: Path, size_bytes: int) -> None:
        await asyncio.to_thread(_enlarge, path, size_bytes)

    async def grow_overlay(self, path: Path, size_bytes: int) -> None:
        if (await qemu_img.info(path, "qcow2"))["virtual-size"] < size_bytes:
            command = ("qemu-img", "resize", "-q", "-f", "qcow2", path, str(size_bytes))
            await qemu_img.run(*command, near=path.parent)

    async def move(self, path: Path, source: Path) -> None:
        await asyncio.to_thread(os.replace, source, path)

    async def remove(self, path: Path) -> None:
        await asyncio.to_thread(_remove, path)

    def taken(self, path: Path) -> int:
        return path.stat().st_blocks * 512


def _taken_below(root: Path) -> Iterator[int]:
    for folder, _, names in os.walk(root):
        for name in names:
            with suppress(FileNotFoundError):  # it was removed in between
                yield os.lstat(os.path.join(folder, name)).st_blocks * 512


def sparse(path: Path, size_bytes: int) -> None:
    """A file of zeroes that takes no room. Blocks."""
    with path.open("wb") as file:
        os.chmod(path, 0o600)
        file.truncate(size_bytes)


def _enlarge(path: Path, size_bytes: int) -> None:
    if path.stat().st_size < size_bytes:
        os.truncate(path, size_bytes)


def _publish(made: Path, path: Path) -> None:
    """Its content is on the disk before its name is, so that a name after a crash means a whole disk."""
    with made.open("rb") as file:
        os.fsync(file.fileno())
    made.chmod(0o600)
    made.rename(path)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
