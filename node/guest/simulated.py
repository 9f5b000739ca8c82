"""A hypervisor that runs nothing: what a fleet of hosts is made of where only the control plane is measured.

It keeps to the same rules as the real one, so what holds of a guest there holds here.
"""

import asyncio
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from mesh.errors import CloudError
from node.guest.devices import Disk
from node.guest.hypervisor import Hypervisor, Listener, Sighting, off
from node.kept import Kept
from weft.node.v1.resources_pb2 import GuestPort, GuestSpec, GuestState

_RUNNING = Sighting(GuestState.GUEST_STATE_RUNNING, "started")
_PAUSED = Sighting(GuestState.GUEST_STATE_PAUSED, "paused")
_SAVED = Sighting(GuestState.GUEST_STATE_SHUTOFF, "saved")
_MADE = Sighting(GuestState.GUEST_STATE_SHUTOFF)


class SimulatedHypervisor(Hypervisor):
    """Guests that start at once and obey at once, kept in `file`: like real ones they outlive the agent."""

    kind = "simulated"

    def __init__(self, file: Path | None = None) -> None:
        self._guests = Kept(file)
        self._listener: Listener = lambda _id, _sighting: None

    async def open(self, listener: Listener, resync: Callable[[], None]) -> None:
        self._listener = listener

    async def close(self) -> None:
        self._listener = lambda _id, _sighting: None

    async def versions(self) -> dict[str, str]:
        return {"simulated": "1"}

    async def list(self) -> dict[str, Sighting]:
        return {server_id: _seen(guest) for server_id, guest in self._guests.items()}

    async def foreign(self) -> dict[str, str]:
        return {}

    async def see(self, server_id: str) -> Sighting | None:
        guest = self._guests.get(server_id)
        return _seen(guest) if guest else None

    async def define(self, spec: GuestSpec, disks: Sequence[Disk], console: Path) -> None:
        guest = self._guests.setdefault(spec.server_id, _as_seen(_MADE))
        guest["serials"] = sorted({disk.serial for disk in disks if disk.serial})
        self._guests.keep()

    async def undefine(self, server_id: str) -> None:
        await self.kill(server_id)
        if self._guests.pop(server_id, None):
            self._guests.keep()
            self._listener(server_id, None)

    async def start(self, server_id: str) -> None:
        if not _seen(self._guest(server_id)).active:
            self._change(server_id, _RUNNING)

    async def ask_to_stop(self, server_id: str) -> None:
        if _seen(self._guest(server_id)).active:
            self._change(server_id, Sighting(GuestState.GUEST_STATE_SHUTOFF, "shutdown"))

    async def kill(self, server_id: str) -> None:
        guest = self._guests.get(server_id)
        if guest and (_seen(guest).active or _seen(guest) == _SAVED):
            self._change(server_id, Sighting(GuestState.GUEST_STATE_SHUTOFF, "destroyed"))

    async def ask_to_reboot(self, server_id: str, patience: float) -> bool:
        return _seen(self._guest(server_id)).active

    async def pause(self, server_id: str) -> None:
        if not _seen(self._guest(server_id)).active:
            raise off(server_id)
        self._change(server_id, _PAUSED)

    async def unpause(self, server_id: str) -> None:
        if not _seen(self._guest(server_id)).active:
            raise off(server_id)
        self._change(server_id, _RUNNING)

    async def suspend(self, server_id: str) -> None:
        seen = _seen(self._guest(server_id))
        if not seen.active and seen != _SAVED:
            raise off(server_id)
        if seen.active:
            self._change(server_id, _SAVED)

    async def plug_card(self, server_id: str, port: GuestPort) -> None:
        self._guest(server_id)

    async def unplug_card(self, server_id: str, mac_address: str, patience: float) -> bool:
        self._guest(server_id)
        return True

    async def plug(self, server_id: str, disk: Disk) -> None:
        guest = self._guest(server_id)
        guest["serials"] = sorted({*guest["serials"], disk.serial})
        self._guests.keep()

    async def unplug(self, server_id: str, serial: str, patience: float) -> bool:
        guest = self._guest(server_id)
        guest["serials"] = sorted({*guest["serials"]} - {serial})
        self._guests.keep()
        return True

    async def grow(self, server_id: str, serial: str, size_bytes: int) -> None:
        self._guest(server_id)

    async def copy(self, server_id: str, serial: str, target: Path) -> None:
        await asyncio.sleep(0)
        self._guest(server_id)

    async def copy_root(self, server_id: str, target: Path) -> None:
        await asyncio.sleep(0)
        self._guest(server_id)

    def _guest(self, server_id: str) -> dict[str, Any]:
        guest = self._guests.get(server_id)
        if guest is None:
            message = f"The guest {server_id} is not defined here."
            raise CloudError("HYPERVISOR_FAILED", message, detail="no domain")
        return guest

    def _change(self, server_id: str, seen: Sighting) -> None:
        self._guests[server_id] |= _as_seen(seen)
        self._guests.keep()
        self._listener(server_id, seen)


def _as_seen(seen: Sighting) -> dict[str, Any]:
    return {"state": GuestState.Name(seen.state), "detail": seen.detail}


def _seen(guest: dict[str, Any]) -> Sighting:
    return Sighting(GuestState.Value(guest["state"]), guest["detail"])
