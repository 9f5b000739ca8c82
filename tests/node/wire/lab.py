"""Hosts as namespaces on one underlay, each with a real agent process, and an outside network."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from uuid import uuid4

from node.wire import names, namespaces
from tests.node.wire.control import Control
from tests.node.wire.guest import Guest, Listener, run_in
from tests.node.wire.world import Host, World
from weft.network.v1 import host_state_pb2 as pb

AGENT = Path(__file__).with_name("agent.py")
UNDERLAY, OUTSIDE = "100.64.0", "203.0.113"
EXTERNAL = "weft-ext"


class Lab:
    """Two hosts h1 and h2, and `outside` (203.0.113.1, on the external bridge of h1)."""

    def __init__(self, scratch: Path) -> None:
        self._tag = f"wt{os.getpid()}-{uuid4().hex[:4]}"
        self._scratch = scratch
        self._guests: list[Guest] = []
        self._listeners: list[Listener] = []
        self._agents: dict[str, subprocess.Popen] = {}
        self.hosts = [Host(str(uuid4()), f"{UNDERLAY}.{number}") for number in (1, 2)]
        self.spaces = {host.id: f"{self._tag}-h{number}" for number, host in enumerate(self.hosts, 1)}
        self.outside = f"{self._tag}-out"
        self.world = World(self.hosts)
        self._control = Control(scratch)
        self.reported = self._control.until
        self.confirmed = self._control.until_confirmed
        self._lay_cables()

    def _lay_cables(self) -> None:
        for space in (*self.spaces.values(), self.outside):
            namespaces.create(space)
            run_in(space, "ip", "link", "set", "lo", "up")
        first, second = self.spaces.values()
        self._cable(first, "under0", second, "under0")
        for host, space in zip(self.hosts, self.spaces.values(), strict=True):
            run_in(space, "ip", "addr", "add", f"{host.vtep}/24", "dev", "under0")
        self._cable(first, "uplink", self.outside, "uplink")
        run_in(first, "ip", "link", "add", EXTERNAL, "type", "bridge", "forward_delay", "0")
        run_in(first, "ip", "link", "set", EXTERNAL, "up")
        run_in(first, "ip", "link", "set", "uplink", "master", EXTERNAL)
        run_in(self.outside, "ip", "addr", "add", f"{OUTSIDE}.1/24", "dev", "uplink")

    def _cable(self, near: str, near_link: str, far: str, far_link: str) -> None:
        peer = ["type", "veth", "peer", "name", far_link, "netns", far]
        run_in(near, "ip", "link", "add", near_link, "mtu", "1600", *peer)
        run_in(far, "ip", "link", "set", far_link, "mtu", "1600", "up")
        run_in(near, "ip", "link", "set", near_link, "up")

    def start_agent(self, host: Host, *options: str) -> None:
        """Start a host's agent."""
        log = (self._scratch / f"agent-{self.spaces[host.id]}.log").open("ab")
        command = [sys.executable, str(AGENT), "--host", host.id, "--state", str(self._scratch)]
        command += ["--network", self._control.address, "--vtep", host.vtep]
        command += ["--guests", str(self._scratch / "guests.json"), *options]
        space = namespaces.DIRECTORY / self.spaces[host.id]
        environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
        with log:
            self._agents[host.id] = subprocess.Popen(
                ["nsenter", f"--net={space}", *command], stdout=log, stderr=log, env=environment
            )

    def end_agent(self, host: Host, number: int = signal.SIGTERM) -> None:
        """End a host's agent."""
        agent = self._agents.pop(host.id)
        agent.send_signal(number)
        try:
            agent.wait(20)
        finally:
            agent.kill()

    def log(self, host: Host) -> str:
        """What a host's agent said so far."""
        return (self._scratch / f"agent-{self.spaces[host.id]}.log").read_text()

    def tell(self, *ports: pb.HostPort) -> None:
        """Tell every host what is to be now, and wait until these ports are wired so."""
        for host in self.hosts:
            self._control.want(host.id, self.world.state(host))
        for port in ports:
            self._control.until(port.id, pb.WIRE_STATE_WIRED, port.revision)

    def ask(self, host: Host) -> int:
        """Tell a host what is to be, and to say when it has it: of which revision."""
        state = self.world.state(host)
        state.covers = state.revision
        self._control.want(host.id, state)
        return state.revision

    def retell(self) -> None:
        """Tell every host, and wait until each port was reported anew."""
        self._control.forget_reports()
        self.tell(*self.world.ports.values())

    def change(self, host: Host, part: pb.HostState) -> None:
        """Tell one host only what changed."""
        whole = self.world.state(host)
        part.revision = whole.revision
        self._control.change(host.id, part, whole)

    @contextmanager
    def without_control(self) -> Iterator[None]:
        """The network service is away, and comes back knowing what it knew."""
        self._control.close()
        try:
            yield
        finally:
            self._control.open()
            self._control.forget_reports()
            self.tell(*self.world.ports.values())

    def guest(self, port: pb.HostPort, *, dhcp: bool = False) -> Guest:
        """A guest on a wired port, with the port's address, set by hand or by DHCP."""
        host = self.world.places[port.id]
        space = f"{self._tag}-g{len(self._guests)}"
        guest = Guest(space, self.spaces[host.id], names.tap(port.id), port.mac_address, self._scratch)
        self._guests.append(guest)
        if port.admin_state_up:
            assert eventually(lambda: self._forwards(host, port.id)), "its port on the bridge stays closed"
        if not dhcp:
            subnet = self.world.networks[port.network_id].subnets[0]
            for fixed in port.fixed_ips:
                length = 64 if ":" in fixed.ip_address else 24
                guest.take(f"{fixed.ip_address}/{length}", "" if length == 64 else subnet.gateway_ip)
        return guest

    def _forwards(self, host: Host, port_id: str) -> bool:
        """Whether the bridge has seen that something is plugged in; the kernel may take a second."""
        return "state forwarding" in self.on(host, "bridge", "link", "show", "dev", names.tap(port_id))

    def listen(self, space: str, port: int) -> Listener:
        """A TCP server in a namespace."""
        listener = Listener(space, port)
        self._listeners.append(listener)
        return listener

    def tell_guests(self, about: dict[str, dict[str, str]]) -> None:
        """What guests are told about themselves, by port."""
        (self._scratch / "guests.json").write_text(json.dumps(about))

    def on(self, host: Host, *command: str) -> str:
        """Run a command on a host."""
        return run_in(self.spaces[host.id], *command).stdout

    def clear(self) -> None:
        """Take away guests and everything on paper, and wait until hosts have followed."""
        for listener in self._listeners:
            listener.close()
        for guest in self._guests:
            guest.close()
        self._listeners, self._guests = [], []
        gone = list(self.world.ports)
        self.world = World(self.hosts, revision=self.world.revision)
        self.tell()
        for port_id in gone:
            self._control.until(port_id, pb.WIRE_STATE_REMOVED)

    def close(self) -> None:
        """Leave nothing behind."""
        try:
            for host in self.hosts:
                with suppress(KeyError):
                    self.end_agent(host)
        finally:
            self._control.close()
            ours = tuple(host.id[:8] for host in self.hosts)
            for name in namespaces.names():
                if name.startswith(self._tag) or (name.startswith("weft-") and name.endswith(ours)):
                    namespaces.remove(name)


def eventually(true: Callable[[], object], seconds: float = 10.0) -> bool:
    """Whether something becomes true in time."""
    ends = time.monotonic() + seconds
    while time.monotonic() < ends:
        if true():
            return True
        time.sleep(0.05)
    return bool(true())
