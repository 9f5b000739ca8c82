"""Snapshots: whole copies of volumes as they were at one moment.

A copy of a file that nobody writes shares its blocks where the filesystem can (reflink). What a running guest
has is copied by QEMU itself, as of the moment that the copy begins, while the guest goes on writing; what
another host has over NBD, by the daemon that serves it.
"""

from pathlib import Path

from mesh.errors import CloudError
from node import turns
from node.disk.exports import Exports
from node.disk.pool import Pool, in_use
from node.guest.devices import serial_of
from node.guest.hypervisor import Hypervisor
from node.ledger import SnapshotRecord
from node.turns import Turns


class Snapshots:
    """Makes and removes snapshots; each call can be made again after it was broken off."""

    def __init__(self, pool: Pool, exports: Exports, hypervisor: Hypervisor, turns: Turns) -> None:
        self._pool = pool
        self._exports = exports
        self._hypervisor = hypervisor
        self._turns = turns

    async def create(self, volume_id: str, snapshot_id: str) -> None:
        """Keep the volume as it is now. NOT_FOUND, STORAGE_FULL."""
        holder = self._pool.holder(volume_id)
        names = [turns.volume(volume_id), *([turns.guest(holder)] if holder else [])]
        await self._turns.take(lambda: self._create(volume_id, snapshot_id, holder), *names)

    async def delete(self, volume_id: str, snapshot_id: str) -> None:
        """Remove a snapshot. IN_USE while it is exported."""
        await self._turns.take(lambda: self._delete(snapshot_id), turns.volume(volume_id))

    async def _create(self, volume_id: str, snapshot_id: str, holder: str | None) -> None:
        ledger, storage = self._pool.ledger, self._pool.storage
        target = self._pool.snapshot_path(snapshot_id)
        self._pool.volume(volume_id)
        if self._pool.holder(volume_id) != holder:
            message = f"The volume {volume_id} was attached or detached meanwhile: try again."
            raise CloudError("UNAVAILABLE", message, service="node")
        if snapshot_id in ledger.snapshots and storage.exists(target):
            return
        record = SnapshotRecord(snapshot_id, volume_id, ledger.volumes[volume_id].size_bytes)
        await ledger.keep(record)
        try:
            await self._copy(volume_id, target, holder)
        except CloudError:
            await storage.remove(target)
            await ledger.forget(record)
            raise

    async def _copy(self, volume_id: str, target: Path, holder: str | None) -> None:
        storage, export = self._pool.storage, self._pool.writer(volume_id)
        seen = await self._hypervisor.see(holder) if holder else None
        if holder and seen and seen.active:
            async with storage.writing(target) as part:
                await self._hypervisor.copy(holder, serial_of(volume_id), part)
        elif export and self._exports.running(export.id):
            async with storage.writing(target) as part:
                await self._exports.copy(export.id, part, self._pool.ledger.volumes[volume_id].size_bytes)
        else:
            await storage.copy(target, self._pool.volume(volume_id))

    async def _delete(self, snapshot_id: str) -> None:
        record = self._pool.ledger.snapshots.get(snapshot_id)
        if record is None:
            return
        for export in self._pool.ledger.exports.values():
            if export.snapshot_id == snapshot_id:
                raise in_use("snapshot", snapshot_id, "export", export.id)
        await self._pool.storage.remove(self._pool.snapshot_path(snapshot_id))
        await self._pool.ledger.forget(record)
