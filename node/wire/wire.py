"""A host's network: keeps the kernel as the network service wants it, serves DHCP and metadata."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Protocol, TypeVar

from mesh import settings
from mesh.channel import Peers
from node.metadata import documents, is_password
from node.passwords import Passwords
from node.wire import leases, metadata_space, names, state
from node.wire.confirming import Confirming
from node.wire.dhcp import Responder
from node.wire.events import LinkEvents
from node.wire.http import Answer
from node.wire.kernel import Kernel, Result
from node.wire.metadata import MetadataServer
from node.wire.plan import Site
from node.wire.readiness import Readiness
from node.wire.stream import Reports, Wishes
from weft.network.v1 import host_state_pb2
from weft.network.v1.host_service_pb2 import WatchHostStateRequest
from weft.node.v1.resources_pb2 import GuestPort, GuestSpec

log = logging.getLogger(__name__)
T = TypeVar("T")
_VERIFY_EVERY, _DRIFT_PAUSE = 60.0, 0.1  # seconds
_FIRST_WAIT, _LONGEST_WAIT = 0.5, 30.0


class Guests(Protocol):
    """Who knows what the guests behind ports are to be told."""

    def metadata(self, port_id: str) -> tuple[GuestSpec, GuestPort] | None:
        """The guest of a port; None when no guest of this host has it."""
        ...


class Wire:
    """The network of the namespace that the process is in. Needs root."""

    def __init__(self, node: settings.Node, peers: Peers, host_id: str, guests: Guests) -> None:
        self._host_id = host_id
        self._guests = guests
        self._file = Path(node.state) / "wire.state"
        self._state = state.load(self._file)
        self._kernel = Kernel(Site(host_id, node.vtep_address, node.bridge_mappings))
        self._readiness, self._confirming = Readiness(host_id), Confirming()
        self._reports = Reports(peers, host_id)
        request = WatchHostStateRequest(
            host_id=host_id,
            vtep_address=node.vtep_address,
            physical_networks=sorted(node.bridge_mappings),
            confirms=True,
        )
        self._wishes = Wishes(peers, request, self._take)
        self._thread = ThreadPoolExecutor(1, "wire")
        self._wake = asyncio.Event()
        self._changed_links: set[str] = set()
        self._stale, self._healthy = True, True
        self._tasks: list[asyncio.Task[None]] = []
        self._passwords = Passwords(peers, host_id)
        self._metadata = MetadataServer(self._documents, self._ask)

    async def start(self) -> None:
        """Begin. A state known from before is wired at once; the network service's own follows."""
        loop = asyncio.get_running_loop()
        await self._in_thread(self._kernel.prepare)
        self._responder = Responder(loop, self._hostname)
        self._events = LinkEvents(loop, self._heard)
        self._tasks = [
            asyncio.create_task(work(), name=f"wire {work.__qualname__}")
            for work in (self._wishes.run, self._reports.run, self._keep)
        ]

    async def stop(self) -> None:
        """End; all that is in the kernel stays as it is, so guests keep their network."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await asyncio.to_thread(self._thread.shutdown)
        self._events.close()
        self._responder.close()
        await self._metadata.close()

    async def remove(self) -> None:
        """Take away all of this host's network from the kernel, once stopped: for a host that is given up.

        Bridges of physical networks stay: others may use them.
        """
        outcome = await asyncio.to_thread(self._kernel.remove)
        self._file.unlink(missing_ok=True)
        if outcome.failed:
            raise OSError("; ".join(outcome.failed.values()))

    async def ready(self, port_id: str, deadline_s: float) -> None:
        """Return once the port's tap is wired: filtered, on its bridge, up.

        Raises CloudError PORT_NOT_WIRED when it is not within `deadline_s` seconds.
        """
        await self._readiness.wait(port_id, deadline_s)

    def _take(self, message: host_state_pb2.HostState) -> None:
        before = set(self._state.ports)
        self._state.take(message)
        self._readiness.forget(before - self._state.ports.keys())
        if message.complete:
            self._readiness.repeat()
            self._confirming.repeat()
        self._stale = True
        self._wake.set()

    def _heard(self, link: str) -> None:
        """A link changed, by us or by another: which of both is seen when there is time to look.

        One act is many events, and what cannot be mended now is tried again by the clock alone.
        """
        if self._healthy and (not link or names.may_remove(link)):
            if not self._changed_links:
                asyncio.get_running_loop().call_later(_DRIFT_PAUSE, self._wake.set)
            self._changed_links.add(link)

    async def _keep(self) -> None:
        """Keep the kernel as wanted: at each change, when a link changes by itself, and every minute."""
        verify, retry = True, _FIRST_WAIT
        while True:
            self._wake.clear()
            if self._state.known:
                await self._act(verify)
            retry = _FIRST_WAIT if self._healthy else min(retry * 2, _LONGEST_WAIT)
            verify = not await self._woken(_VERIFY_EVERY if self._healthy else retry)

    async def _act(self, verify: bool) -> None:
        changed, self._changed_links = self._changed_links, set()
        if verify or self._stale:
            await self._converge(verify)
        elif changed:
            drifted = await self._in_thread(self._kernel.link_differs, changed)
            if drifted:
                await self._converge(verify=True)

    async def _woken(self, seconds: float) -> bool:
        try:
            async with asyncio.timeout(seconds):
                await self._wake.wait()
        except TimeoutError:
            return False
        return True

    async def _converge(self, verify: bool) -> None:
        wanted, self._stale, done = self._state.copy(), False, True
        try:
            result = await self._in_thread(partial(self._kernel.converge, verify=verify), wanted)
        except Exception as error:  # whatever it is, it is told of and tried again
            log.exception("cannot wire this host")
            failed, done = dict.fromkeys(wanted.ports, str(error)), False
            result = Result(failed=failed, healthy=False, trouble={"": str(error)})
        self._reports.add(self._readiness.learn(result))
        self._reports.confirm(self._confirming.learn(wanted.covers, done, result.trouble))
        await self._serve(wanted, result)
        await asyncio.to_thread(state.save, wanted, self._file)
        self._healthy = result.healthy

    async def _in_thread(self, function: Callable[..., T], *arguments: object) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._thread, function, *arguments)

    async def _serve(self, wanted: state.State, result: Result) -> None:
        self._responder.serve(dict(_leases(wanted, result.wired)))
        await self._metadata.serve(self._ports_by_address(wanted, result.wired))

    def _ports_by_address(self, wanted: state.State, wired: Iterable[str]) -> Mapping[str, Mapping[str, str]]:
        spaces: dict[str, dict[str, str]] = {
            names.metadata_space(network.id, self._host_id): {}
            for network in wanted.networks.values()
            if metadata_space.wanted(network)
        }
        for id in wired:
            port = wanted.ports[id]
            found = spaces.get(names.metadata_space(port.network_id, self._host_id), {})
            found.update((fixed.ip_address, id) for fixed in port.fixed_ips)
        return spaces

    def _documents(self, port_id: str) -> Mapping[str, bytes] | None:
        found = self._guests.metadata(port_id)
        return documents(*found, self._state.ports.get(port_id)) if found else None

    def _ask(self, port_id: str, path: str, method: str, body: bytes) -> Awaitable[Answer] | None:
        found = self._guests.metadata(port_id) if is_password(path) else None
        return self._passwords.answer(found[0].server_id, method, body) if found else None

    def _hostname(self, port_id: str) -> str:
        found = self._guests.metadata(port_id)
        return found[0].metadata.hostname if found else ""


def _leases(wanted: state.State, wired: Iterable[str]) -> Iterator[tuple[str, leases.Lease]]:
    for id in wired:
        port = wanted.ports[id]
        lease = leases.lease(port, wanted.networks[port.network_id])
        if lease is not None:
            yield names.tap(id), lease
