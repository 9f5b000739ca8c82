"""Which guests there are on this host, and what each is told.

Every call can be made again: it finds what is there and does the rest.
"""

import asyncio
from dataclasses import replace

from mesh.errors import CloudError, wrong_status
from node import turns
from node.disk.disks import GuestDisks
from node.guest import console
from node.guest.hypervisor import Hypervisor, Sighting
from node.ledger import GuestRecord, Ledger
from node.turns import Turns
from weft.node.v1.resources_pb2 import Guest, GuestMetadata, GuestPort, GuestSpec, GuestState


class Guests:
    """The guests that weft made on this host."""

    def __init__(self, ledger: Ledger, hypervisor: Hypervisor, disks: GuestDisks, turns: Turns) -> None:
        self._ledger = ledger
        self._hypervisor = hypervisor
        self._disks = disks
        self._turns = turns
        self.doomed: set[str] = set()

    def metadata(self, port_id: str) -> tuple[GuestSpec, GuestPort] | None:
        """Whose port it is, for the metadata server."""
        for record in self._ledger.guests.values():
            spec = record.guest
            for port in spec.ports:
                if port.port_id == port_id:
                    return spec, port
        return None

    async def define(self, spec: GuestSpec) -> Guest:
        """Make the guest's disks and define it. WRONG_STATUS when it is there for another operation."""
        names = [turns.volume(volume.volume_id) for volume in spec.volumes]
        return await self._turns.take(lambda: self._define(spec), turns.guest(spec.server_id), *names)

    async def delete(self, server_id: str) -> None:
        """Destroy it and its own disks, and do not wait for a guest that is being asked to stop."""
        self.doomed.add(server_id)
        try:
            await self._turns.take(lambda: self._delete(server_id), turns.guest(server_id))
        finally:
            self.doomed.discard(server_id)

    async def tell(self, server_id: str, metadata: GuestMetadata) -> None:
        """Change what it is told about itself; user data stays as it was when none is given."""
        await self._turns.take(lambda: self._tell(server_id, metadata), turns.guest(server_id))

    async def get(self, server_id: str) -> Guest:
        """The guest as it is. NOT_FOUND."""
        record = self._ledger.guest(server_id)
        return message(self._hypervisor.kind, record, await self._hypervisor.see(server_id))

    async def list(self) -> list[Guest]:
        """All guests by server id."""
        seen = await self._hypervisor.list()
        return [
            message(self._hypervisor.kind, r, seen.get(r.id)) for _, r in sorted(self._ledger.guests.items())
        ]

    async def console(self, server_id: str, offset: int, length: int) -> console.Excerpt:
        """A part of its console log. NOT_FOUND."""
        self._ledger.guest(server_id)
        return await asyncio.to_thread(console.read, self._disks.console(server_id), offset, length)

    async def _define(self, spec: GuestSpec) -> Guest:
        known = self._ledger.guests.get(spec.server_id)
        if known and known.operation_id != spec.operation_id:
            raise wrong_status("guest", spec.server_id, f"of the operation {known.operation_id}", ["ABSENT"])
        seen = await self._hypervisor.see(spec.server_id)
        if known and seen:
            return message(self._hypervisor.kind, known, seen)
        record = GuestRecord(spec.server_id, spec.operation_id, _kept(spec))
        await self._ledger.keep(record)
        try:
            disks = await self._disks.make(spec)
            if spec.volumes:
                record = replace(record, spec=_kept(spec))  # it has learnt their devices
                await self._ledger.keep(record)
            await self._hypervisor.define(spec, disks, self._disks.console(spec.server_id))
        except CloudError:
            await self._delete(spec.server_id)
            raise
        return message(self._hypervisor.kind, record, await self._hypervisor.see(spec.server_id))

    async def _delete(self, server_id: str) -> None:
        await self._hypervisor.undefine(server_id)
        record = self._ledger.guests.get(server_id)
        if record is not None:
            await self._disks.remove(server_id)
            await self._ledger.forget(record)

    async def _tell(self, server_id: str, metadata: GuestMetadata) -> None:
        record = self._ledger.guest(server_id)
        spec = record.guest
        user_data = metadata.user_data or spec.metadata.user_data
        spec.metadata.CopyFrom(metadata)
        spec.metadata.user_data = user_data
        await self._ledger.keep(replace(record, spec=spec.SerializeToString()))


def _kept(spec: GuestSpec) -> bytes:
    """Without where its disks were fetched from, which is nobody's any more."""
    kept = GuestSpec()
    kept.CopyFrom(spec)
    kept.ClearField("copy")
    return kept.SerializeToString()


def message(hypervisor: str, record: GuestRecord, seen: Sighting | None) -> Guest:
    """A guest as it is, for an answer."""
    seen = seen or Sighting(GuestState.GUEST_STATE_UNSPECIFIED, "not defined")
    return Guest(
        server_id=record.id,
        state=seen.state,
        detail=seen.detail,
        volumes=record.guest.volumes,
        operation_id=record.operation_id,
        hypervisor=hypervisor,
    )
