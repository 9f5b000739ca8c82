"""A hypervisor that runs nothing: what a fleet of hosts is made of where only the control plane is measured.

It keeps to the same rules as the real one, so what holds of a guest there holds here.
"""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from mesh.errors import CloudError
from node.guest.devices import Disk
from node.guest.hypervisor import Hypervisor, Listener, Sighting
from weft.node.v1.resources_pb2 import GuestSpec, GuestState

_RUNNING = Sighting(GuestState.GUEST_STATE_RUNNING, "started")


@dataclass(slots=True)
class _Guest:
    console: Path
    seen: Sighting = field(default=Sighting(GuestState.GUEST_STATE_SHUTOFF))
    serials: set[str] = field(default_factory=set)


class SimulatedHypervisor(Hypervisor):
    """Guests in memory: they start at once and obey at once. A restart of the agent forgets them."""

    kind = "simulated"

    def __init__(self) -> None:
        self._guests: dict[str, _Guest] = {}
        self._listener: Listener = lambda _id, _sighting: None

    async def open(self, listener: Listener, resync: Callable[[], None]) -> None:
        self._listener = listener

    async def close(self) -> None:
        self._listener = lambda _id, _sighting: None

    async def versions(self) -> dict[str, str]:
        return {"simulated": "1"}

    async def list(self) -> dict[str, Sighting]:
        return {server_id: guest.seen for server_id, guest in self._guests.items()}

    async def see(self, server_id: str) -> Sighting | None:
        guest = self._guests.get(server_id)
        return guest.seen if guest else None

    async def define(self, spec: GuestSpec, disks: Sequence[Disk], console: Path) -> None:
        guest = self._guests.setdefault(spec.server_id, _Guest(console))
        guest.serials = {disk.serial for disk in disks if disk.serial}

    async def undefine(self, server_id: str) -> None:
        await self.kill(server_id)
        if self._guests.pop(server_id, None):
            self._listener(server_id, None)

    async def start(self, server_id: str) -> None:
        if not self._guest(server_id).seen.active:
            self._change(server_id, _RUNNING)

    async def ask_to_stop(self, server_id: str) -> None:
        if self._guest(server_id).seen.active:
            self._change(server_id, Sighting(GuestState.GUEST_STATE_SHUTOFF, "shutdown"))

    async def kill(self, server_id: str) -> None:
        guest = self._guests.get(server_id)
        if guest and guest.seen.active:
            self._change(server_id, Sighting(GuestState.GUEST_STATE_SHUTOFF, "destroyed"))

    async def ask_to_reboot(self, server_id: str, patience: float) -> bool:
        return self._guest(server_id).seen.active

    async def plug(self, server_id: str, disk: Disk) -> None:
        self._guest(server_id).serials.add(disk.serial)

    async def unplug(self, server_id: str, serial: str, patience: float) -> bool:
        self._guest(server_id).serials.discard(serial)
        return True

    async def grow(self, server_id: str, serial: str, size_bytes: int) -> None:
        self._guest(server_id)

    async def copy(self, server_id: str, serial: str, target: Path) -> None:
        await asyncio.sleep(0)
        self._guest(server_id)

    def _guest(self, server_id: str) -> _Guest:
        guest = self._guests.get(server_id)
        if guest is None:
            message = f"The guest {server_id} is not defined here."
            raise CloudError("HYPERVISOR_FAILED", message, detail="no domain")
        return guest

    def _change(self, server_id: str, seen: Sighting) -> None:
        self._guests[server_id].seen = seen
        self._listener(server_id, seen)
