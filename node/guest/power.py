"""Starting, stopping and restarting guests."""

import asyncio
import contextlib
import logging
import time
from collections.abc import AsyncIterator, Iterator, Set
from dataclasses import replace
from typing import Protocol

from mesh.errors import CloudError
from node import turns
from node.disk.disks import GuestDisks
from node.guest import console
from node.guest.boots import Boots
from node.guest.guests import message
from node.guest.hypervisor import Hypervisor
from node.guest.libvirtd import boot_id
from node.ledger import Ledger
from node.turns import Turns
from weft.node.v1.resources_pb2 import Guest, GuestSpec, GuestState

WIRED_SECONDS = 30.0
REBOOT_GRACE_SECONDS = 60.0
PRESS_AGAIN_SECONDS = 10.0
_LOOK_SECONDS = 0.2
_log = logging.getLogger(__name__)


class Wires(Protocol):
    """What a guest needs of the host's network."""

    async def ready(self, port_id: str, deadline_s: float) -> None:
        """Answer when the port's tap is there and wired. PORT_NOT_WIRED."""


class Power:
    """Every call can be made again: a guest that is as wanted is left alone.

    Guests in `doomed` wait to be deleted: nobody waits for them to obey.
    """

    def __init__(
        self,
        ledger: Ledger,
        hypervisor: Hypervisor,
        disks: GuestDisks,
        wires: Wires,
        boots: Boots | None,
        turns: Turns,
        doomed: Set[str],
    ) -> None:
        self._ledger = ledger
        self._hypervisor = hypervisor
        self._disks = disks
        self._wires = wires
        self._boots = boots
        self._turns = turns
        self._doomed = doomed

    async def start(self, server_id: str) -> Guest:
        """Start it when its ports are wired. PORT_NOT_WIRED, HYPERVISOR_FAILED."""
        return await self._turns.take(lambda: self._start(server_id), turns.guest(server_id))

    async def stop(self, server_id: str, grace: float) -> Guest:
        """Shut it down within `grace` seconds, or by force."""
        return await self._turns.take(lambda: self._stop(server_id, grace), turns.guest(server_id))

    async def reboot(self, server_id: str, hard: bool) -> Guest:
        """Restart it; one that does not obey, or is off, as if the power were cut."""
        return await self._turns.take(lambda: self._reboot(server_id, hard), turns.guest(server_id))

    async def resume(self) -> None:
        """After a reboot of the host: start what was running before it, as it was asked to be."""
        boot = boot_id()
        for record in list(self._ledger.guests.values()):
            seen = await self._hypervisor.see(record.id)
            if record.wanted_running and record.boot_id != boot and seen and not seen.active:
                _log.info("the host was restarted: so is the guest %s", record.id)
                try:
                    await self.start(record.id)
                except CloudError as error:
                    _log.error("the guest %s did not start again: %s", record.id, error.message)

    async def _start(self, server_id: str) -> Guest:
        record = self._ledger.guest(server_id)
        seen = await self._hypervisor.see(server_id)
        if not (seen and seen.active):
            await self._wired(record.guest)
            await self._ledger.keep(replace(record, wanted_running=True, boot_id=boot_id()))
            async with self._booting(server_id):
                await self._hypervisor.start(server_id)
        return await self._see(server_id)

    async def _wired(self, spec: GuestSpec) -> None:
        await asyncio.gather(*(self._wires.ready(port.port_id, WIRED_SECONDS) for port in spec.ports))

    @contextlib.asynccontextmanager
    async def _booting(self, server_id: str) -> AsyncIterator[None]:
        """A place among the guests that boot, until this one has said something."""
        boots = self._boots
        if boots is None:
            yield
            return
        log = self._disks.console(server_id)
        before = await asyncio.to_thread(console.size, log)
        await boots.enter()
        try:
            yield
        except BaseException:
            boots.leave()
            raise
        boots.watch(lambda: console.size(log), before)

    async def _stop(self, server_id: str, grace: float) -> Guest:
        record = self._ledger.guest(server_id)
        await self._ledger.keep(replace(record, wanted_running=False))
        seen = await self._hypervisor.see(server_id)
        if seen and seen.state == GuestState.GUEST_STATE_RUNNING and grace > 0:
            await self._ask_to_stop(server_id, grace)
        await self._hypervisor.kill(server_id)
        return await self._see(server_id)

    async def _ask_to_stop(self, server_id: str, grace: float) -> None:
        """Press its power button until it is off, the time is over, or it is to be deleted anyway."""
        for patience in self._presses(server_id, grace):
            await self._hypervisor.ask_to_stop(server_id)
            for _ in range(round(patience / _LOOK_SECONDS) + 1):
                seen = await self._hypervisor.see(server_id)
                if seen is None or not seen.active:
                    return
                await asyncio.sleep(_LOOK_SECONDS)
        _log.info("the guest %s did not shut down when asked: by force", server_id)

    async def _ask_to_reboot(self, server_id: str) -> bool:
        for patience in self._presses(server_id, REBOOT_GRACE_SECONDS):
            if await self._hypervisor.ask_to_reboot(server_id, patience):
                return True
        _log.info("the guest %s did not restart when asked: by force", server_id)
        return False

    def _presses(self, server_id: str, grace: float) -> Iterator[float]:
        """Seconds to wait after each press: a guest that was still booting did not see the one before."""
        deadline = time.monotonic() + grace
        while (left := deadline - time.monotonic()) > 0 and server_id not in self._doomed:
            yield min(left, PRESS_AGAIN_SECONDS)

    async def _reboot(self, server_id: str, hard: bool) -> Guest:
        record = self._ledger.guest(server_id)
        seen = await self._hypervisor.see(server_id)
        running = seen is not None and seen.state == GuestState.GUEST_STATE_RUNNING
        obeyed = running and not hard and await self._ask_to_reboot(server_id)
        if not obeyed:
            await self._hypervisor.kill(server_id)
            return await self._start(record.id)
        return await self._see(server_id)

    async def _see(self, server_id: str) -> Guest:
        seen = await self._hypervisor.see(server_id)
        return message(self._hypervisor.kind, self._ledger.guest(server_id), seen)
