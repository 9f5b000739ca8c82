"""Copies of guests' root disks, on their way to become images.

A guest that runs goes on running: QEMU writes the disk as it is when the copy begins, which is what a power
cut would leave. One that is off is copied as it is.
"""

from pathlib import Path

from mesh.errors import not_found
from node import turns
from node.disk.disks import GuestDisks
from node.disk.images import Images
from node.disk.storage import Storage
from node.guest.hypervisor import Hypervisor
from node.ledger import Ledger
from node.turns import Turns


class Copies:
    """A copy is a file beside the guest's disks, and goes with them. Each call can be made again."""

    def __init__(
        self,
        ledger: Ledger,
        hypervisor: Hypervisor,
        disks: GuestDisks,
        storage: Storage,
        images: Images,
        turns: Turns,
    ) -> None:
        self._ledger = ledger
        self._hypervisor = hypervisor
        self._disks = disks
        self._storage = storage
        self._images = images
        self._turns = turns

    async def make(self, server_id: str, snapshot_id: str) -> None:
        """Copy its root disk. UNSUPPORTED when it boots from a volume, STORAGE_FULL."""
        path = self._path(server_id, snapshot_id)
        await self._turns.take(lambda: self._make(server_id, path), turns.guest(server_id))

    async def bring(self, server_id: str, snapshot_id: str) -> None:
        """Give the copy to the image service. NOT_FOUND when there is none; raises what that raises."""
        path = self._path(server_id, snapshot_id)
        await self._turns.take(lambda: self._bring(path, snapshot_id), _turn(snapshot_id))

    async def drop(self, server_id: str, snapshot_id: str) -> None:
        """Remove the copy."""
        path = self._path(server_id, snapshot_id)
        await self._turns.take(lambda: self._storage.remove(path), turns.guest(server_id), _turn(snapshot_id))

    async def _make(self, server_id: str, path: Path) -> None:
        self._ledger.guest(server_id)
        if self._storage.exists(path):
            return
        source, seen = self._disks.root(server_id), await self._hypervisor.see(server_id)
        if seen and seen.active:
            async with self._storage.writing(path) as part:
                await self._hypervisor.copy_root(server_id, part)
        else:
            await self._storage.flatten(path, source.path, source.format)

    async def _bring(self, path: Path, snapshot_id: str) -> None:
        if not self._storage.exists(path):
            raise not_found("snapshot", snapshot_id)
        await self._images.bring(snapshot_id, path)

    def _path(self, server_id: str, snapshot_id: str) -> Path:
        return self._disks.folder(server_id) / f"{snapshot_id}.snapshot"


def _turn(snapshot_id: str) -> str:
    return f"snapshot/{snapshot_id}"
