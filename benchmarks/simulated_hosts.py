"""Many simulated hosts in one process: each keeps the contract of a host with a certificate, connections, a
server and an agent of its own, as weft's own agent is put together; only the machine below it is none.

    python -m benchmarks.simulated_hosts --first 0 --hosts 100 [--guests 10] [--watch-only]

Settings are those of $WEFT_CONFIG. It says `ready` once all are hosts, and ends when told to. They have no
pool of volumes, and one file for all their ledgers.
"""

import asyncio
import os
import signal
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import msgspec

from mesh import process
from mesh.audit import Trail, to_identity
from mesh.certificates import Authority, Identity
from mesh.channel import Peers
from mesh.database import Database
from mesh.interceptor import Interceptor
from mesh.policy import Policy
from mesh.revocations import RemoteVerifier
from mesh.serving import Drain, Server
from mesh.settings import Node, Settings
from mesh.tracing import Exporting
from node.disk.simulated import SimulatedExports, SimulatedImages, SimulatedStorage
from node.guest.simulated import SimulatedHypervisor
from node.host import HostParts, Machine
from node.ledger import MIGRATIONS, TABLES, GuestRecord, Ledger
from node.wire import SimulatedWire
from weft.node.v1.resources_pb2 import GuestSpec

_AT_ONCE = 32
_IDS = uuid.UUID("0a1c7d52-6f5e-4a55-9a39-6f1f3c1f8d10")


def host_id(number: int) -> str:
    """The id of a host."""
    return str(uuid.uuid5(_IDS, f"host {number}"))


def guest_id(number: int, guest: int) -> str:
    """The id of the server of a guest that is on a host from its beginning."""
    return str(uuid.uuid5(_IDS, f"host {number} guest {guest}"))


def vtep_address(number: int) -> str:
    """Where a host says that it takes VXLAN packets; nobody sends any."""
    return f"10.{128 + (number >> 16)}.{number >> 8 & 255}.{number & 255}"


def socket(settings: Settings, number: int) -> str:
    """Where a host's agent listens."""
    return f"unix:{settings.state}/run/b{number}.sock"


class Fleet:
    """What the hosts of this process share: an authority, a file, a way for spans and for audit events."""

    def __init__(self, settings: Settings, name: str) -> None:
        self.settings = settings
        self.authority = Authority.open_or_create(settings.state / "pki", settings.cloud.name)
        self.exporting = Exporting(settings, self.leaf(name))
        self.tracer = self.exporting.tracer("node")
        url = f"sqlite:///{settings.state}/{name}.db"
        self.database = Database.open(url, TABLES, MIGRATIONS)
        self.peers = Peers(settings, self.leaf(name))
        self.trail = Trail(to_identity(self.peers), Drain().last_words)
        self.parts: list[object] = []  # what runs until the process ends: nobody else holds on to it

    def leaf(self, host_id: str) -> Any:
        """A host's certificate."""
        return self.authority.issue(Identity.node(host_id))

    def interceptor(self) -> Interceptor:
        """What stands before a host's servicers."""
        verifier, cloud = RemoteVerifier(self.peers), self.settings.cloud.name
        return Interceptor("node", cloud, verifier, self.tracer, Policy(), self.trail)


def node_settings(fleet: Fleet, number: int) -> Node:
    """A host's own settings."""
    return msgspec.structs.replace(
        fleet.settings.node,
        host_id=host_id(number),
        name=f"b{number}",
        address=socket(fleet.settings, number),
        state=f"{fleet.settings.state}/fleet/{number}",
        hypervisor="simulated",
        vtep_address=vtep_address(number),
        vcpu_ratio=16.0,
    )


async def be_a_host(fleet: Fleet, number: int, guests: int) -> None:
    """Returns when compute and the network service have taken it in; it goes on being one."""
    own, leaf = node_settings(fleet, number), fleet.leaf(host_id(number))
    peers, ledger = Peers(fleet.settings, leaf), Ledger(fleet.database)
    hypervisor = SimulatedHypervisor()
    for spec in _guests(number, guests):
        ledger.guests[spec.server_id] = GuestRecord(spec.server_id, "", spec.SerializeToString(), True)
        await hypervisor.define(spec, (), Path())
        await hypervisor.start(spec.server_id)
    machine = Machine(hypervisor, SimulatedStorage(), SimulatedImages(peers), SimulatedExports(), None)
    parts = HostParts(own, own.host_id, peers, ledger, machine)
    server = Server(fleet.interceptor(), leaf, [own.address], Drain())
    server.add(parts.servicers)
    await server.start()
    jobs = (parts.be_a_host, parts.be_wired, parts.reports.run)
    fleet.parts += [server, *(asyncio.create_task(job()) for job in jobs)]
    await parts.admission.admitted()
    await parts.wire.told()


def _guests(number: int, count: int) -> Iterator[GuestSpec]:
    for guest in range(count):
        yield GuestSpec(server_id=guest_id(number, guest))


async def watch_only(fleet: Fleet, number: int, _guests: int) -> None:
    """A host's network half alone: returns once it was told what is to be, and goes on listening."""
    own = node_settings(fleet, number)
    wire = SimulatedWire(own, Peers(fleet.settings, fleet.leaf(own.host_id)), own.host_id, _Nobody())
    await wire.start()
    fleet.parts.append(wire)
    await wire.told()


class _Nobody:
    """No guest is behind any port."""

    def metadata(self, port_id: str) -> None:
        """None."""


async def play(settings: Settings, numbers: range, guests: int, *, only_watch: bool) -> None:
    """Until told to end: at once, for nobody waits until thousands of connections are closed."""
    for sign in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(sign, os._exit, 0)
    fleet = await asyncio.to_thread(Fleet, settings, f"fleet-{numbers.start}")
    fleet.parts.append(asyncio.create_task(fleet.trail.run()))
    limit, begin = asyncio.Semaphore(_AT_ONCE), watch_only if only_watch else be_a_host

    async def one(number: int) -> None:
        async with limit:
            await begin(fleet, number, guests)

    await asyncio.gather(*map(one, numbers))
    print("ready", flush=True)
    await asyncio.Event().wait()


@click.command()
@click.option("--first", type=int, required=True)
@click.option("--hosts", type=int, required=True)
@click.option("--guests", type=int, default=0, show_default=True)
@click.option("--watch-only", is_flag=True, help="Watch the network service and nothing else.")
def main(first: int, hosts: int, guests: int, watch_only: bool) -> None:
    """Play hosts until told to end."""
    process.run(lambda settings: play(settings, range(first, first + hosts), guests, only_watch=watch_only))


if __name__ == "__main__":
    main()
