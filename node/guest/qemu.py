"""Guests of QEMU, by libvirt."""

import asyncio
import logging
import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path

import libvirt

from mesh.errors import CloudError
from node.guest import domains, events, xml
from node.guest.connection import Connection
from node.guest.devices import Disk
from node.guest.hypervisor import Hypervisor, Listener, Sighting
from node.guest.libvirtd import Libvirtd
from weft.node.v1.resources_pb2 import GuestPort, GuestSpec

_log = logging.getLogger(__name__)
_FORGET = libvirt.VIR_DOMAIN_UNDEFINE_MANAGED_SAVE | libvirt.VIR_DOMAIN_UNDEFINE_SNAPSHOTS_METADATA
_AGAIN_SECONDS = 0.2


class QemuHypervisor(Hypervisor):
    """`kind` is `kvm` or `tcg`. With no `uri` it keeps a libvirtd of its own in `state`."""

    def __init__(self, kind: str, state: Path, host_id: str, uri: str = "") -> None:
        self.kind = kind
        self._host_id = host_id
        self.daemon = Libvirtd(state, host_id)
        self._connection = Connection(
            uri or self.daemon.uri,
            (lambda: None) if uri else self.daemon.ensure,
            self._listen,
            self._lost,
        )
        self._listener: Listener = lambda _id, _sighting: None
        self._resync: Callable[[], None] = lambda: None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._broken = asyncio.Event()
        self._rebooted: dict[str, asyncio.Event] = {}
        self._tasks: list[asyncio.Task[None]] = []

    async def open(self, listener: Listener, resync: Callable[[], None]) -> None:
        self._loop = asyncio.get_running_loop()
        self._listener, self._resync = listener, resync
        for task in self._tasks:
            task.cancel()
        await self._connection.look("connect", lambda connection: None)
        self._tasks = [asyncio.create_task(self._reconnect()), asyncio.create_task(self._warm())]

    async def close(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.to_thread(self._connection.close)

    async def versions(self) -> dict[str, str]:
        number = await self._connection.look("version", lambda c: c.getLibVersion())
        return {"libvirt": _dotted(number), "qemu": await asyncio.to_thread(_qemu_version)}

    async def list(self) -> dict[str, Sighting]:
        return await self._connection.look("list", lambda c: _list(c, self._host_id))

    async def foreign(self) -> dict[str, str]:
        return await self._connection.look("list foreign", lambda c: _foreign(c, self._host_id))

    async def see(self, server_id: str) -> Sighting | None:
        return await self._connection.look("see", lambda c: _see(_find(c, server_id, self._host_id)))

    async def define(self, spec: GuestSpec, disks: Sequence[Disk], console: Path) -> None:
        document = xml.domain(spec, disks, console, self.kind, self._host_id)
        # A guest that boots from a volume has no file of its own yet.
        console.parent.mkdir(parents=True, exist_ok=True)
        await self._connection.run("define", lambda c: c.defineXML(document))

    async def undefine(self, server_id: str) -> None:
        await self.kill(server_id)
        await self._on("undefine", server_id, lambda domain: domain.undefineFlags(_FORGET), missing_ok=True)

    async def start(self, server_id: str) -> None:
        await self._on("start", server_id, domains.start)

    async def ask_to_stop(self, server_id: str) -> None:
        button = libvirt.VIR_DOMAIN_SHUTDOWN_ACPI_POWER_BTN
        await self._on("stop", server_id, lambda d: d.shutdownFlags(button) if d.isActive() else None)

    async def kill(self, server_id: str) -> None:
        await self._on("kill", server_id, domains.destroy, missing_ok=True)

    async def ask_to_reboot(self, server_id: str, patience: float) -> bool:
        obeyed = self._rebooted[server_id] = asyncio.Event()
        button = libvirt.VIR_DOMAIN_REBOOT_ACPI_POWER_BTN
        try:
            await self._on("reboot", server_id, lambda domain: domain.reboot(button))
            await asyncio.wait_for(obeyed.wait(), patience)
        except TimeoutError:
            return False
        finally:
            del self._rebooted[server_id]
        return True

    async def pause(self, server_id: str) -> None:
        await self._on("pause", server_id, domains.pause)

    async def unpause(self, server_id: str) -> None:
        await self._on("unpause", server_id, domains.unpause)

    async def suspend(self, server_id: str) -> None:
        await self._on("suspend", server_id, domains.suspend)

    async def plug_card(self, server_id: str, port: GuestPort) -> None:
        await self._on("attach card", server_id, lambda d: domains.plug_card(d, port))

    async def unplug_card(self, server_id: str, mac_address: str, patience: float) -> bool:
        return await self._unplugged(
            "detach card", server_id, lambda d: domains.detach_card(d, mac_address), patience
        )

    async def plug(self, server_id: str, disk: Disk) -> None:
        await self._on("attach disk", server_id, lambda domain: domains.plug(domain, disk))

    async def unplug(self, server_id: str, serial: str, patience: float) -> bool:
        return await self._unplugged("detach disk", server_id, lambda d: domains.detach(d, serial), patience)

    async def grow(self, server_id: str, serial: str, size_bytes: int) -> None:
        await self._on("resize disk", server_id, lambda domain: domains.grow(domain, serial, size_bytes))

    async def copy(self, server_id: str, serial: str, target: Path) -> None:
        await self._copy(server_id, lambda domain: domains.begin_copy(domain, serial, target))

    async def copy_root(self, server_id: str, target: Path) -> None:
        await self._copy(server_id, lambda domain: domains.begin_copy_of_root(domain, target))

    async def _copy(self, server_id: str, begin: Callable[[libvirt.virDomain], None]) -> None:
        await self._on("copy disk", server_id, begin)
        try:
            await self._until("copy job", server_id, domains.copied)
        except asyncio.CancelledError:
            await self._on("abort copy", server_id, lambda d: d.abortJob())
            raise

    async def _unplugged(
        self, name: str, server_id: str, done: Callable[[libvirt.virDomain], bool], patience: float
    ) -> bool:
        """Whether the guest let go of a device within so many seconds."""
        try:
            async with asyncio.timeout(patience):
                await self._until(name, server_id, done)
        except TimeoutError:
            return False
        return True

    async def _until(self, name: str, server_id: str, done: Callable[[libvirt.virDomain], bool]) -> None:
        while True:
            if await self._on(name, server_id, done):
                return
            await asyncio.sleep(_AGAIN_SECONDS)

    async def _on(self, name: str, server_id: str, fn: Callable, *, missing_ok: bool = False):
        def work(connection: libvirt.virConnect):
            domain = _find(connection, server_id, self._host_id)
            if domain is None:
                if missing_ok:
                    return None
                raise CloudError(
                    "HYPERVISOR_FAILED", f"The guest {server_id} is not defined here.", detail="no domain"
                )
            return fn(domain)

        return await self._connection.run(name, work)

    def _listen(self, connection: libvirt.virConnect) -> None:
        """With a new connection. Events of domains that are not ours are dropped where they come in."""
        kinds = (
            (libvirt.VIR_DOMAIN_EVENT_ID_LIFECYCLE, self._lifecycle),
            (libvirt.VIR_DOMAIN_EVENT_ID_REBOOT, self._reboot),
        )
        for kind, callback in kinds:
            connection.domainEventRegisterAny(None, kind, callback, None)

    def _lifecycle(self, _c: object, domain: libvirt.virDomain, event: int, detail: int, _o: object) -> None:
        gone = event == libvirt.VIR_DOMAIN_EVENT_UNDEFINED
        seen = events.lifecycle(event, detail)
        if (gone or seen) and domain.name().startswith(_PREFIX):
            self._tell(self._listener, domain.UUIDString(), seen)

    def _reboot(self, _c: object, domain: libvirt.virDomain, _o: object) -> None:
        self._tell(self._obeyed, domain.UUIDString())

    def _obeyed(self, server_id: str) -> None:
        if waiting := self._rebooted.get(server_id):
            waiting.set()

    def _lost(self) -> None:
        self._tell(self._broken.set)

    def _tell(self, fn: Callable[..., None], *args: object) -> None:
        """From libvirt's thread to the agent's loop, unless that has ended."""
        if self._loop and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(fn, *args)

    async def _warm(self) -> None:
        """Have libvirt probe QEMU now, which takes seconds on a new host, and not with the first guest."""
        kind = xml.type_of(self.kind)
        try:
            await self._connection.look(
                "probe", lambda c: c.getDomainCapabilities(None, xml.ARCH, None, kind)
            )
        except CloudError as error:
            _log.warning("libvirt does not say what QEMU can: %s", error.message)

    async def _reconnect(self) -> None:
        """When the connection breaks, make it again at once: events come only over a connection."""
        while True:
            await self._broken.wait()
            self._broken.clear()
            _log.warning("the connection to libvirt broke")
            try:
                await self._connection.look("connect", lambda connection: None)
            except CloudError as error:
                _log.error("libvirt does not answer: %s", error.message)
                await asyncio.sleep(2)
                self._broken.set()
                continue
            self._resync()


_PREFIX = "weft-"


def _find(connection: libvirt.virConnect, server_id: str, host_id: str) -> libvirt.virDomain | None:
    """The guest's domain, if it is there and carries weft's mark."""
    try:
        domain = connection.lookupByUUIDString(server_id)
    except libvirt.libvirtError as error:
        if error.get_error_code() == libvirt.VIR_ERR_NO_DOMAIN:
            return None
        raise
    return domain if _is_ours(domain, host_id) else None


def _is_ours(domain: libvirt.virDomain, host_id: str) -> bool:
    try:
        mark = domain.metadata(libvirt.VIR_DOMAIN_METADATA_ELEMENT, xml.NAMESPACE)
    except libvirt.libvirtError as error:
        if error.get_error_code() in (libvirt.VIR_ERR_NO_DOMAIN_METADATA, libvirt.VIR_ERR_NO_DOMAIN):
            return False
        raise
    return xml.host_of(mark) == host_id


def _list(connection: libvirt.virConnect, host_id: str) -> dict[str, Sighting]:
    ours = (domain for domain in connection.listAllDomains() if _is_ours(domain, host_id))
    return {domain.UUIDString(): events.sighting(*domain.state()) for domain in ours}


def _foreign(connection: libvirt.virConnect, host_id: str) -> dict[str, str]:
    theirs = (domain for domain in connection.listAllDomains() if not _is_ours(domain, host_id))
    return {domain.UUIDString(): domain.name() for domain in theirs}


def _see(domain: libvirt.virDomain | None) -> Sighting | None:
    return None if domain is None else events.sighting(*domain.state())


def _dotted(number: int) -> str:
    return f"{number // 1_000_000}.{number // 1_000 % 1_000}.{number % 1_000}"


def _qemu_version() -> str:
    """Asked of QEMU itself: libvirt would first probe every machine type, which takes seconds."""
    said = subprocess.run(["qemu-system-x86_64", "--version"], capture_output=True, text=True, check=False)
    words = said.stdout.split()
    return words[3] if len(words) > 3 else ""
