"""Hosts that watch the network service: what it costs while nothing happens, and how soon a change of a port
is in its host's kernel.

The thousands are **simulated**: each has a certificate and a connection of its own and keeps the contract,
but no kernel. The change is measured on a real one: the agent's network half in a namespace, where a
transaction of nftables is heard of as it is committed. The services are processes of their own.
"""

import asyncio
import os
import signal
import socket
import sys
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager

from benchmarks import bare, fleet, simulated_hosts
from benchmarks.cloud import Cloud
from benchmarks.figures import Goal
from benchmarks.people import Person, person
from benchmarks.processes import cpu_ms, pss_mb
from benchmarks.suite import Bench
from mesh import ids
from mesh.certificates import Authority, Identity
from mesh.channel import connect
from mesh.settings import PORTS
from node.wire import namespaces
from tests.node.wire import agent
from weft.network.v1.port_service_pb2 import (
    BindPortRequest,
    CreatePortRequest,
    GetPortRequest,
    UpdatePortRequest,
)
from weft.network.v1.port_service_pb2_grpc import PortServiceStub
from weft.network.v1.resources_pb2 import PORT_STATUS_ACTIVE, AddressPair, Port

_SETTLE, _QUIET = 10.0, 0.1
# linux/netlink.h, linux/netfilter/nfnetlink.h
_NETFILTER, _SOL_NETLINK, _ADD_MEMBERSHIP, _NFTABLES = 12, 270, 1, 7
_PATIENCE = 60.0


async def run(bench: Bench) -> None:
    """First without any host, then with all of them, then one more that has a kernel."""
    hosts, seconds = bench.of(1000, 10_000), bench.of(30, 60)
    async with bare.running(*PORTS) as cloud:
        network = cloud.pids()["network"]
        alone = await _idle(network, seconds)
        async with fleet.playing(cloud, hosts, watch_only=True):
            await asyncio.sleep(_SETTLE)
            idle = await _idle(network, seconds)
            goal = Goal(1) if bench.full else None
            unit = "core-s a minute"
            bench.tell("the network service with no host", unit, [alone])
            bench.tell(f"the network service with {hosts:,} idle simulated hosts", unit, [idle], goal)
            bench.tell("memory of the network service with them", "MB PSS", [pss_mb(network)])
            await _changes(bench, cloud)


async def _idle(pid: int, seconds: float) -> float:
    """Core-seconds a minute that a process takes."""
    before = cpu_ms(pid)
    await asyncio.sleep(seconds)
    return (cpu_ms(pid) - before) / seconds * 60 / 1000


async def _changes(bench: Bench, cloud: Cloud) -> None:
    """An address more, or one less, that a port may use: from the call until its host's kernel lets it."""
    host = ids.new()
    async with person(cloud) as somebody, _real_host(cloud, host) as space:
        port = await _bound_port(somebody, host)
        stub, samples = somebody.client.stub(PortServiceStub), list[float]()
        with _commits(space) as heard:
            for number in range(bench.of(50, 300)):
                pairs = [AddressPair(ip_address="10.30.200.200")] if number % 2 == 0 else []
                change = UpdatePortRequest(id=port.id, port=Port(allowed_address_pairs=pairs))
                change.update_mask.paths.append("allowed_address_pairs")
                await _quiet(heard)
                begun = time.perf_counter()
                await stub.UpdatePort(change)
                await asyncio.wait_for(heard.wait(), _PATIENCE)
                samples.append((time.perf_counter() - begun) * 1e3)
    bench.tell("a changed port in its real host's kernel", "ms", samples, Goal(50, share=0.99))


async def _bound_port(somebody: Person, host: str) -> Port:
    """A port on the host, as compute puts it there, wired."""
    network = await somebody.network("10.30.0.0/16")
    stub = somebody.client.stub(PortServiceStub)
    port = await stub.CreatePort(CreatePortRequest(network_id=network))
    layout = somebody.cloud.layout
    authority = Authority.open_or_create(layout.state / "pki", layout.settings.cloud.name)
    leaf, name = authority.issue(Identity.service("compute")), Identity.service("network").dns
    async with connect(layout.socket("network"), layout.ca, leaf=leaf, server_name=name) as compute:
        request = BindPortRequest(id=port.id, host_id=host, device_id=ids.new())
        await compute.stub(PortServiceStub).BindPort(request)
    async with asyncio.timeout(_PATIENCE):
        while port.status != PORT_STATUS_ACTIVE:
            await asyncio.sleep(_QUIET)
            port = await stub.GetPort(GetPortRequest(id=port.id))
    return port


@asynccontextmanager
async def _real_host(cloud: Cloud, host: str) -> AsyncIterator[str]:
    """The network half of a host's agent in a namespace of its own, whose name is given."""
    space, layout = f"weft-bench-{host[:8]}", cloud.layout
    words = ("--host", host, "--state", str(layout.state), "--network", layout.socket("network"))
    namespaces.create(space)
    try:
        with (layout.state / "log" / "real-host.log").open("ab") as log:
            child = await asyncio.create_subprocess_exec(
                *("nsenter", f"--net={namespaces.DIRECTORY / space}", sys.executable, agent.__file__),
                *(*words, "--vtep", simulated_hosts.vtep_address(65_000), "--give-up"),
                stdout=log, stderr=log, env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
            )  # fmt: skip
        try:
            yield space
        finally:
            child.send_signal(signal.SIGTERM)
            await asyncio.wait_for(child.wait(), _PATIENCE)
    finally:
        namespaces.remove(space)


@contextmanager
def _commits(space: str) -> Iterator[asyncio.Event]:
    """Set each time that a transaction of nftables is committed in the namespace."""
    heard, loop = asyncio.Event(), asyncio.get_running_loop()
    with namespaces.inside(space):
        netlink = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_NONBLOCK, _NETFILTER)
    with netlink:
        netlink.bind((0, 0))
        netlink.setsockopt(_SOL_NETLINK, _ADD_MEMBERSHIP, _NFTABLES)

        def read() -> None:
            netlink.recv(1 << 16)
            heard.set()

        loop.add_reader(netlink, read)
        try:
            yield heard
        finally:
            loop.remove_reader(netlink)


async def _quiet(heard: asyncio.Event) -> None:
    """Wait until nothing has been heard for a moment."""
    heard.set()
    while heard.is_set():
        heard.clear()
        await asyncio.sleep(_QUIET)
