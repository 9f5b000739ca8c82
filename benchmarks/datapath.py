"""What a host's network lets through, as a share of what a bare veth pair does, in turns in the same run.

Hosts and guests are namespaces. Bridges, tunnels, forwarding entries and filters are made by the host agent's
own code (node/wire), but for one thing: where a guest's tap would be is the end of a veth pair, since what
carries frames between a tap and a namespace would be slower than all that is measured. One TCP connection,
sender and receiver in this process, on the machine's own processors.
"""

import asyncio
import os
import socket
import subprocess
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from statistics import fmean

from benchmarks.figures import Goal
from benchmarks.processes import Cost
from benchmarks.suite import Bench
from mesh import ids
from node.wire import names, namespaces
from node.wire.kernel import Kernel
from node.wire.plan import Plan, Site
from node.wire.state import State
from tests.node.wire.world import EGRESS, INGRESS, Host, World, rule
from weft.network.v1 import host_state_pb2 as pb

_CARD, _MTU, _PORT, _PORTS = "eth0", 1450, 5201, 1000
_PIECE = 1 << 20
# The least of what each should let through.
_GOALS = {"bridge": 0.9, "VXLAN": 0.65, "security groups": 0.68, "VXLAN with security groups": 0.5}


async def run(bench: Bench) -> None:
    """With six ports, then with a thousand on one host."""
    await asyncio.to_thread(_run, bench)


def _run(bench: Bench) -> None:
    with ExitStack() as stack:
        lab = Lab(stack)
        _measured(bench, lab, "")
        lab.crowd()
        _measured(bench, lab, f", {_PORTS:,} ports on the host")


def _measured(bench: Bench, lab: "Lab", where: str) -> None:
    ways = {"bare": lab.bare, **lab.ways}
    for way in ways.values():
        _flow(way, 0.2)
    seconds = 2.0 if bench.full else 0.5
    rounds = [{name: _flow(way, seconds) for name, way in ways.items()} for _ in range(bench.of(7, 15))]
    bare = [flows["bare"] for flows in rounds]
    bench.tell(f"bare veth pair{where}", "MiB/s", [flow.mib_a_second for flow in bare], None, _cost(bare))
    for name, least in _GOALS.items():
        seen, goal = [flows[name] for flows in rounds], Goal(least, at_least=True)
        pairs = list(zip(seen, bare, strict=True))
        shares = [one.mib_a_second / other.mib_a_second for one, other in pairs]
        bench.tell(f"{name} beside it{where}", "x", shares, goal, _cost(seen))
        # On a machine that others use too this is the better one: what a processor lets through.
        shares = [one.mib_a_cpu_ms / other.mib_a_cpu_ms for one, other in pairs]
        bench.tell(f"{name} beside it, by processor time{where}", "x", shares, goal)


def _cost(flows: Sequence["Flow"]) -> Cost:
    return Cost({"both ends, of a MiB": fmean(1 / flow.mib_a_cpu_ms for flow in flows)})


@dataclass(frozen=True)
class Way:
    """From a namespace to an address in another."""

    source: str
    target: str
    address: str


@dataclass(frozen=True)
class Flow:
    """What came through: a second, and a millisecond of processor time."""

    mib_a_second: float
    mib_a_cpu_ms: float


def _flow(way: Way, seconds: float) -> Flow:
    """Send as fast as it goes for so long."""
    with namespaces.inside(way.target):
        listener = socket.create_server((way.address, _PORT))
    with namespaces.inside(way.source):
        sender = socket.socket()
    received: list[int] = []
    with listener, sender:
        taking = threading.Thread(target=lambda: received.append(_take(listener)))
        taking.start()
        sender.settimeout(10)
        sender.connect((way.address, _PORT))
        piece, spent, begun = bytes(_PIECE), time.process_time(), time.perf_counter()
        while time.perf_counter() - begun < seconds:
            sender.sendall(piece)
        sender.shutdown(socket.SHUT_WR)
        taking.join()
        took, spent = time.perf_counter() - begun, time.process_time() - spent
    mib = received[0] / (1 << 20)
    return Flow(mib / took, mib / spent / 1000)


def _take(listener: socket.socket) -> int:
    total, piece = 0, bytearray(_PIECE)
    receiver, _ = listener.accept()
    with receiver:
        while count := receiver.recv_into(piece):
            total += count
    return total


class CabledKernel(Kernel):
    """A host's network in which ports in `cables` are ends of veth pairs, whose others are guests' cards."""

    def __init__(self, site: Site, cables: Mapping[str, tuple[str, str]]) -> None:
        super().__init__(site)
        self._cables = cables

    def _plan(self, state: State) -> Plan:
        drawn = super()._plan(state)
        links = dict(drawn.picture.links)
        for port_id, (space, mac) in self._cables.items():
            name = names.tap(port_id)
            links[name] = replace(links[name], kind="veth", space=space, peer=_CARD, peer_mac=mac)
        return replace(drawn, picture=replace(drawn.picture, links=links))


class Lab:
    """Two hosts on one underlay, a network across them, and guests: two on the first, one on the second, with
    security groups and without.
    """

    def __init__(self, stack: ExitStack) -> None:
        self._stack, self._tag = stack, f"weft-bench-{os.getpid()}"
        self._hosts = [Host(ids.new(), f"100.64.0.{number}") for number in (1, 2)]
        self._spaces = {host.id: self._space(f"h{n}") for n, host in enumerate(self._hosts)}
        self._underlay()
        self._world = World(self._hosts)
        self._network = self._world.network("10.31.0.0/16", dhcp=False)
        self._group = self._world.group(rule(INGRESS, "tcp", (1, 65535)), rule(EGRESS))
        self._cables: dict[str, dict[str, tuple[str, str]]] = {host.id: {} for host in self._hosts}
        first, second = self._hosts
        ends = {kind: self._ends(kind, first, second) for kind in ("open", "secured")}
        self._kernels = {h.id: CabledKernel(Site(h.id, h.vtep, {}), self._cables[h.id]) for h in self._hosts}
        self._wire()
        self.bare = self._bare()
        self.ways = {
            "bridge": self._way(ends["open"], 1),
            "VXLAN": self._way(ends["open"], 2),
            "security groups": self._way(ends["secured"], 1),
            "VXLAN with security groups": self._way(ends["secured"], 2),
        }

    def crowd(self) -> None:
        """A thousand ports on the first host."""
        peers = self._world.group(rule(INGRESS, group=self._group.id), rule(EGRESS))
        there = len(self._cables[self._hosts[0].id])
        for number in range(_PORTS - there):
            address = f"10.31.{1 + number // 250}.{1 + number % 250}"
            self._world.port(self._network, self._hosts[0], address, self._group, peers)
        self._wire()

    def _ends(self, kind: str, first: Host, second: Host) -> list[tuple[str, str]]:
        """Guests of a kind, with their addresses."""
        third = {"open": 10, "secured": 20}[kind]
        return [
            self._guest(host, f"10.31.0.{third + n}", secured=kind == "secured")
            for n, host in enumerate((first, first, second))
        ]

    def _guest(self, host: Host, address: str, *, secured: bool) -> tuple[str, str]:
        port = self._world.port(self._network, host, address, self._group, secured=secured)
        space = self._space(f"g{address.rpartition('.')[2]}")
        self._cables[host.id][port.id] = (space, port.mac_address)
        return space, address

    def _way(self, ends: list[tuple[str, str]], target: int) -> Way:
        return Way(ends[0][0], *ends[target])

    def _wire(self) -> None:
        """Bring both hosts' kernels to what the network service would say, and the guests' cards up."""
        for host in self._hosts:
            state = State()
            state.take(self._world.state(host))
            with namespaces.inside(self._spaces[host.id]):
                result = self._kernels[host.id].converge(state)
            if result.failed:
                raise OSError(f"ports were not wired: {result.failed}")
        for cables in self._cables.values():
            for port_id, (space, _) in cables.items():
                fixed: pb.HostPort = self._world.ports[port_id]
                _up(space, _CARD, f"{fixed.fixed_ips[0].ip_address}/16")

    def _bare(self) -> Way:
        near, far = self._space("b0"), self._space("b1")
        _cable(near, far, _CARD, _MTU)
        _up(near, _CARD, "10.32.0.1/24")
        _up(far, _CARD, "10.32.0.2/24")
        return Way(near, far, "10.32.0.2")

    def _underlay(self) -> None:
        _cable(*self._spaces.values(), "under0", _MTU + 150)
        for host in self._hosts:
            _up(self._spaces[host.id], "under0", f"{host.vtep}/24")

    def _space(self, name: str) -> str:
        return self._stack.enter_context(_namespace(f"{self._tag}-{name}"))


@contextmanager
def _namespace(name: str) -> Iterator[str]:
    namespaces.create(name)
    try:
        yield name
    finally:
        namespaces.remove(name)


def _cable(near: str, far: str, link: str, mtu: int) -> None:
    peer = ("type", "veth", "peer", "name", link, "mtu", str(mtu), "netns", far)
    _ip(near, "link", "add", link, "mtu", str(mtu), *peer)


def _up(space: str, link: str, address: str) -> None:
    _ip(space, "addr", "replace", address, "dev", link)
    _ip(space, "link", "set", link, "up")
    _ip(space, "link", "set", "lo", "up")


def _ip(space: str, *words: str) -> None:
    subprocess.run(["ip", "-n", space, *words], check=True, capture_output=True, text=True)
