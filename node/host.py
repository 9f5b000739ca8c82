"""All parts of one host put together, real or simulated."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mesh import joining
from mesh.errors import CloudError
from mesh.holder import Holder
from mesh.reconcile import Sweep
from mesh.server import Runtime, Service
from mesh.settings import Node
from mesh.warnings import Warnings
from node import inventory
from node.admission import Admission
from node.agent import Agent
from node.api.gate import Gate
from node.api.guests import GuestServicer
from node.api.volumes import HostVolumeServicer, ImageCacheServicer
from node.disk.disks import GuestDisks
from node.disk.exports import Exports, StorageDaemons
from node.disk.images import ImageCache, Images
from node.disk.pool import Pool
from node.disk.sharing import Sharing
from node.disk.simulated import SimulatedExports, SimulatedImages, SimulatedStorage
from node.disk.snapshots import Snapshots
from node.disk.storage import FileStorage, Storage
from node.disk.volumes import Volumes
from node.guest import accelerator
from node.guest.attachments import Attachments
from node.guest.boots import Boots
from node.guest.cards import Cards
from node.guest.copies import Copies
from node.guest.freezing import Freezing
from node.guest.guests import Guests
from node.guest.hypervisor import Hypervisor
from node.guest.moving import Moving
from node.guest.power import Power
from node.guest.qemu import QemuHypervisor
from node.guest.remaking import Remaking
from node.guest.simulated import SimulatedHypervisor
from node.ledger import Ledger
from node.reports import Reports
from node.sweep import HostSweep
from node.turns import Turns
from node.wire import SimulatedWire, Wire
from weft.node.v1.guest_service_pb2_grpc import add_GuestServiceServicer_to_server
from weft.node.v1.image_cache_service_pb2_grpc import add_ImageCacheServiceServicer_to_server
from weft.node.v1.volume_service_pb2_grpc import add_HostVolumeServiceServicer_to_server

SWEEP_SECONDS = 30.0
_OPEN_AGAIN_SECONDS = 2.0
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Machine:
    """What does the work: everything else is the same on every host. Where nothing is emulated, any number of
    guests may boot at the same time: `boots` is None.
    """

    hypervisor: Hypervisor
    storage: Storage
    images: Images
    exports: Exports
    boots: Boots | None


def machine(settings: Node, host_id: str, peers: Any) -> Machine:
    """What the settings ask for. Blocks while KVM is tried, the first time."""
    state = Path(settings.state)
    if settings.hypervisor == "simulated":
        return _simulated(state / "simulated", peers)
    kind = accelerator.choose(settings.hypervisor, state)
    return Machine(
        QemuHypervisor(kind, state / "libvirt", host_id, settings.libvirt_uri),
        FileStorage(state),
        ImageCache(state / "images", peers),
        StorageDaemons(state / "exports", _export_host(settings)),
        Boots(settings.max_booting) if kind == "tcg" else None,
    )


def _simulated(folder: Path, peers: Any) -> Machine:
    """A machine that is nowhere but in the files of `folder`."""
    return Machine(
        SimulatedHypervisor(folder / "guests.json"),
        SimulatedStorage(folder / "disks.json"),
        SimulatedImages(peers),
        SimulatedExports(folder / "exports.json"),
        None,
    )


def _export_host(settings: Node) -> str:
    """Where other hosts reach this one's exports; "" is a unix socket, for hosts on one machine."""
    if settings.vtep_address or settings.address.startswith("unix:"):
        return settings.vtep_address
    return settings.address.rpartition(":")[0].strip("[]")


class HostParts:
    """One host's parts, as `build` wires them."""

    def __init__(self, settings: Node, host_id: str, peers: Any, ledger: Ledger, machine: Machine) -> None:
        state, turns = Path(settings.state), Turns()
        hypervisor, storage = machine.hypervisor, machine.storage
        self.turns, self._wired = turns, False
        self.ledger = ledger
        self.hypervisor = hypervisor
        self.pool = Pool(state, ledger, storage)
        self.disks = GuestDisks(state, storage, machine.images, self.pool)
        self.guests = Guests(ledger, hypervisor, self.disks, turns)
        wire = SimulatedWire if hypervisor.kind == "simulated" else Wire
        self.wire = wire(settings, peers, host_id, self.guests)
        self.power = Power(
            ledger, hypervisor, self.disks, self.wire, machine.boots, turns, self.guests.doomed
        )
        self.freezing = Freezing(ledger, hypervisor, turns)
        self.cards = Cards(ledger, hypervisor, self.wire, turns)
        self.remaking = Remaking(ledger, hypervisor, self.disks, storage, turns)
        self.moving = Moving(ledger, hypervisor, self.disks, machine.exports, turns)
        self.copies = Copies(ledger, hypervisor, self.disks, storage, machine.images, turns)
        self.attachments = Attachments(ledger, hypervisor, self.disks, turns)
        self.volumes = Volumes(self.pool, machine.images, hypervisor, turns)
        self.snapshots = Snapshots(self.pool, machine.exports, hypervisor, turns)
        self.sharing = Sharing(self.pool, machine.exports, turns)
        self.admission = Admission(state, host_id)
        self.reports = Reports(host_id, peers, hypervisor, self.admission)
        self.agent = Agent(settings, host_id, peers, hypervisor, storage, self.reports.resync, self.admission)
        self.sweep = self._sweep(host_id, peers, state, machine)
        servicers: list[tuple[Callable[[Any, Any], None], Any]] = [
            (
                add_GuestServiceServicer_to_server,
                GuestServicer(
                    *(self.guests, self.power, self.freezing, self.attachments, self.cards),
                    *(self.remaking, self.moving, self.copies),
                ),
            ),
            (
                add_HostVolumeServiceServicer_to_server,
                HostVolumeServicer(self.volumes, self.snapshots, self.sharing),
            ),
            (add_ImageCacheServiceServicer_to_server, ImageCacheServicer(machine.images)),
        ]
        self.servicers = [(add, Gate(servicer, self.admission)) for add, servicer in servicers]

    def _sweep(self, host_id: str, peers: Any, state: Path, machine: Machine) -> HostSweep | None:
        if not isinstance(machine.images, ImageCache):
            return None
        return HostSweep(
            host_id,
            state,
            self.ledger,
            self.hypervisor,
            self.disks,
            machine.images,
            self.sharing,
            Warnings(peers),
        )

    async def be_a_host(self) -> None:
        """Open the hypervisor, however long that takes, and be a host from then on."""
        while True:
            try:
                await self.hypervisor.open(self.reports.heard, self.reports.resync)
                break
            except CloudError as error:
                _log.error("no guests can run here: %s", error.message)
                await asyncio.sleep(_OPEN_AGAIN_SECONDS)
        await asyncio.gather(self.agent.run(), self._resume())

    async def _resume(self) -> None:
        await self.admission.may_act()
        await self.power.resume()

    async def be_wired(self) -> None:
        """Have the host's network. What is in the kernel from before stays there meanwhile."""
        await self.admission.may_act()
        await self.wire.start()
        self._wired = True

    async def close(self) -> None:
        """End what is ours; guests, exports and the network stay as they are."""
        await self.turns.drain()
        if self._wired:
            await self.wire.stop()
        await self.hypervisor.close()


async def build(runtime: Runtime) -> Service:
    """The host agent as a part of a process."""
    settings = runtime.settings.node
    host_id = inventory.host_id(settings)
    ledger = Ledger(runtime.database)
    await ledger.load()
    made = await asyncio.to_thread(machine, settings, host_id, runtime.peers)
    parts = HostParts(settings, host_id, runtime.peers, ledger, made)
    background: list[Callable[[], Awaitable[None]]] = [
        parts.be_a_host,
        parts.be_wired,
        parts.reports.run,
        parts.agent.keep_pool,
    ]
    if isinstance(runtime.leaf, Holder):
        background.append(joining.kept_current(runtime.leaf, runtime.peers))
    if parts.sweep is not None:
        await asyncio.to_thread(parts.sweep.clear_debris)
        background.append(Sweep("host", SWEEP_SECONDS, parts.sweep.run).run)
    return Service(parts.servicers, background, closing=parts.close)
