"""Guests whose disks or size become others, under the same id."""

from collections.abc import Callable, Coroutine
from dataclasses import replace
from pathlib import Path
from typing import Any

from mesh.errors import wrong_status
from node import turns
from node.disk.disks import GuestDisks
from node.disk.storage import Storage
from node.guest.devices import FileSource
from node.guest.guests import message
from node.guest.hypervisor import Hypervisor
from node.ledger import GuestRecord, Ledger
from node.turns import Turns
from weft.node.v1.guest_service_pb2 import ResizeGuestRequest
from weft.node.v1.resources_pb2 import Guest, GuestSpec


class Remaking:
    """Each call can be made again after it was broken off: the ledger's operation changes last."""

    def __init__(
        self, ledger: Ledger, hypervisor: Hypervisor, disks: GuestDisks, storage: Storage, turns: Turns
    ) -> None:
        self._ledger = ledger
        self._hypervisor = hypervisor
        self._disks = disks
        self._storage = storage
        self._turns = turns

    async def rebuild(self, spec: GuestSpec) -> Guest:
        """Make its own disks anew; volumes and ports are those that it has."""
        return await self._take(spec.server_id, lambda: self._rebuild(spec))

    async def resize(self, wish: ResizeGuestRequest) -> Guest:
        """Give it another size, and keep what it was. WRONG_STATUS while it runs."""
        return await self._take(wish.server_id, lambda: self._resize(wish))

    async def confirm(self, server_id: str) -> None:
        """Keep nothing of before."""
        await self._take(server_id, lambda: self._confirm(server_id))

    async def revert(self, server_id: str) -> None:
        """Make it what it was. WRONG_STATUS while it runs."""
        await self._take(server_id, lambda: self._revert(server_id))

    async def _take(self, server_id: str, work: Callable[[], Coroutine[Any, Any, Any]]) -> Any:
        return await self._turns.take(work, turns.guest(server_id))

    async def _rebuild(self, spec: GuestSpec) -> Guest:
        record = self._ledger.guest(spec.server_id)
        if record.operation_id != spec.operation_id:
            await self._hypervisor.kill(record.id)
            spec = _with_what_it_has(spec, record)
            await self._disks.clear(record.id)
            await self._disks.make(spec)
            record = await self._define(record, spec, wanted_running=False)
        return await self._see(record)

    async def _resize(self, wish: ResizeGuestRequest) -> Guest:
        record = self._ledger.guest(wish.server_id)
        if record.operation_id == wish.operation_id:
            return await self._see(record)
        await self._require_off(record.id)
        if not record.before:
            record = replace(record, before=record.spec)
            await self._ledger.keep(record)
        spec = _resized(GuestSpec.FromString(record.before), wish)
        await self._keep_aside(record.id)
        await self._grow(spec)
        return await self._see(await self._define(record, spec))

    async def _confirm(self, server_id: str) -> None:
        record = self._ledger.guests.get(server_id)
        if record is None or not record.before:
            return
        for source in self._disks.own(server_id):
            await self._storage.remove(_aside(source.path))
        await self._ledger.keep(replace(record, before=b""))

    async def _revert(self, server_id: str) -> None:
        record = self._ledger.guests.get(server_id)
        if record is None or not record.before:
            return
        await self._require_off(server_id)
        before = GuestSpec.FromString(record.before)
        for source in self._disks.own(server_id):
            if self._storage.exists(_aside(source.path)):
                await self._storage.move(source.path, _aside(source.path))
            elif source.path.stem == "ephemeral" and not before.ephemeral_bytes:
                await self._storage.remove(source.path)
        await self._define(record, before, before=b"")

    async def _keep_aside(self, server_id: str) -> None:
        """A copy of each disk; those that are there are from an attempt before this one."""
        for source in self._disks.own(server_id):
            if not self._storage.exists(_aside(source.path)):
                await self._storage.copy(_aside(source.path), source.path)

    async def _grow(self, spec: GuestSpec) -> None:
        for source in self._disks.own(spec.server_id):
            if source.path.stem == "root":
                await self._grow_one(source, spec.root_disk.size_bytes)
            else:
                await self._grow_one(source, spec.ephemeral_bytes)
        await self._disks.make_missing(spec)

    async def _grow_one(self, source: FileSource, size_bytes: int) -> None:
        grow = self._storage.grow_overlay if source.format == "qcow2" else self._storage.grow
        await grow(source.path, size_bytes)

    async def _define(self, record: GuestRecord, spec: GuestSpec, **noted: Any) -> GuestRecord:
        """Told to the hypervisor, then written down."""
        await self._hypervisor.define(spec, self._disks.all(spec), self._disks.console(record.id))
        kept = replace(record, operation_id=spec.operation_id, spec=spec.SerializeToString(), **noted)
        await self._ledger.keep(kept)
        return kept

    async def _require_off(self, server_id: str) -> None:
        seen = await self._hypervisor.see(server_id)
        if seen and seen.active:
            raise wrong_status("guest", server_id, "running", ("SHUTOFF",))

    async def _see(self, record: GuestRecord) -> Guest:
        return message(self._hypervisor.kind, record, await self._hypervisor.see(record.id))


def _aside(path: Path) -> Path:
    return path.with_name(path.name + ".before")


def _with_what_it_has(spec: GuestSpec, record: GuestRecord) -> GuestSpec:
    made = GuestSpec()
    made.CopyFrom(spec)
    for field in ("volumes", "ports"):
        made.ClearField(field)
        getattr(made, field).extend(getattr(record.guest, field))
    return made


def _resized(spec: GuestSpec, wish: ResizeGuestRequest) -> GuestSpec:
    spec.vcpus, spec.memory_mib, spec.operation_id = wish.vcpus, wish.memory_mib, wish.operation_id
    if spec.HasField("root_disk"):
        spec.root_disk.size_bytes = max(wish.root_bytes, spec.root_disk.size_bytes)
    spec.ephemeral_bytes = max(wish.ephemeral_bytes, spec.ephemeral_bytes)
    return spec
