"""Guests played by namespaces: a pump carries frames between a host's tap and the guest's own card.

Both are taps with virtio headers, so what passes is what would pass between QEMU and a guest's driver.
"""

import os
import select
import socket
import struct
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from node.wire import namespaces, taps

_ALL = 3  # ETH_P_ALL
CARD = "eth0"
_DHCP_SCRIPT = """#!/bin/sh
[ "$1" = bound ] || [ "$1" = renew ] || exit 0
env > "{facts}"
ip addr flush dev "$interface"
ip link set dev "$interface" mtu "${{mtu:-1500}}"
ip addr add "$ip/$mask" dev "$interface"
set -- $staticroutes
while [ $# -ge 2 ]; do ip route replace "$1" via "$2" dev "$interface"; shift 2; done
"""


class Guest:
    """One guest with one card, on a port of a host."""

    def __init__(self, space: str, host_space: str, tap: str, mac: str, scratch: Path) -> None:
        self.space, self._scratch = space, scratch
        namespaces.create(space)
        with namespaces.inside(host_space):
            self._outer = taps.open_tap(tap)
        with namespaces.inside(space):
            self._inner = taps.open_tap(CARD)
        self.run("sysctl", "-qw", "net.ipv6.conf.eth0.accept_dad=0")
        self.run("ip", "link", "set", CARD, "address", mac, "mtu", "1450", "up")
        self.run("ip", "link", "set", "lo", "up")
        self._wake, self._ended = os.pipe()
        self._pump = threading.Thread(target=self._carry, daemon=True)
        self._pump.start()

    def close(self) -> None:
        """Unplug it."""
        os.close(self._ended)
        self._pump.join()
        for descriptor in (self._wake, self._outer, self._inner):
            os.close(descriptor)
        namespaces.remove(self.space)

    def _carry(self) -> None:
        other = {self._outer: self._inner, self._inner: self._outer}
        while True:
            ready, _, _ = select.select([self._outer, self._inner, self._wake], [], [])
            if self._wake in ready:
                return
            for descriptor in ready:
                try:
                    os.write(other[descriptor], os.read(descriptor, 70_000))
                except OSError:  # one end is down or gone: a frame is lost, as on a real wire
                    time.sleep(0.01)

    def run(self, *command: str, check: bool = True) -> subprocess.CompletedProcess:
        """Run a command as the guest would."""
        return run_in(self.space, *command, check=check)

    def take(self, address: str, gateway: str = "") -> "Guest":
        """Set an address by hand, e.g. 10.0.0.5/24."""
        self.run("ip", "addr", "replace", address, "dev", CARD, *(["nodad"] if ":" in address else []))
        if gateway:
            self.run("ip", "route", "replace", "default", "via", gateway)
        return self

    def dhcp(self, *, request: str = "") -> dict[str, str]:
        """Ask for a lease as a real client; what it was told, empty when nobody answered."""
        facts = self._scratch / f"{self.space}.lease"
        facts.unlink(missing_ok=True)
        script = self._scratch / f"{self.space}.sh"
        script.write_text(_DHCP_SCRIPT.format(facts=facts))
        script.chmod(0o755)
        asked = ["-r", request] if request else []
        self.run(
            *("busybox", "udhcpc", "-i", CARD, "-n", "-q", "-f", "-t", "3", "-T", "1"),
            *(*asked, "-O", "mtu", "-O", "staticroutes", "-O", "hostname", "-s", str(script)),
            check=False,
        )
        lines = facts.read_text().splitlines() if facts.exists() else []
        return dict(line.split("=", 1) for line in lines if "=" in line)

    def pings(self, address: str, count: int = 1) -> bool:
        """Whether an address answers within a second."""
        return pings(self.space, address, count)

    def get(self, url: str) -> tuple[int, str]:
        """Status and body of a document."""
        found = self.run("curl", "-s", "--max-time", "3", "-w", "\n%{http_code}", url, check=False).stdout
        body, _, status = found.rpartition("\n")
        return int(status), body

    def reaches(self, address: str, port: int, seconds: float = 1.0) -> bool:
        """Whether a TCP connection to an address begins."""
        return reaches(self.space, address, port, seconds)

    @contextmanager
    def hears(self) -> Iterator["Ears"]:
        """What comes in on the card, meanwhile."""
        with namespaces.inside(self.space):
            raw = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(_ALL))
            raw.bind((CARD, _ALL))
        with raw:
            yield Ears(raw)

    def sends(self, frame: bytes) -> None:
        """Send a frame as it is."""
        with namespaces.inside(self.space), socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0) as raw:
            raw.bind((CARD, 0))
            raw.send(frame)


class Ears:
    """Frames that come in."""

    def __init__(self, raw: socket.socket) -> None:
        self._raw = raw

    def hear(self, mark: bytes, seconds: float = 0.6) -> bool:
        """Whether a frame with these octets somewhere comes in time; frames that go out do not count."""
        ends = time.monotonic() + seconds
        while (left := ends - time.monotonic()) > 0:
            self._raw.settimeout(left)
            try:
                frame, (_, _, kind, *_) = self._raw.recvfrom(70_000)
            except TimeoutError:
                return False
            if kind != socket.PACKET_OUTGOING and mark in frame:
                return True
        return False


class Listener:
    """A TCP server in a namespace that answers each octet with itself."""

    def __init__(self, space: str, port: int) -> None:
        with namespaces.inside(space):
            self._server = socket.create_server(("0.0.0.0", port))
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()
        self.peers: list[str] = []

    def _serve(self) -> None:
        while True:
            try:
                client, peer = self._server.accept()
            except OSError:
                return
            self.peers.append(peer[0])
            threading.Thread(target=_echo, args=(client,), daemon=True).start()

    def close(self) -> None:
        """Listen no more."""
        self._server.shutdown(socket.SHUT_RDWR)
        self._server.close()
        self._thread.join()


def _echo(client: socket.socket) -> None:
    with client:
        try:
            while data := client.recv(100):
                client.sendall(data)
        except OSError:
            return


def run_in(space: str, *command: str, check: bool = True) -> subprocess.CompletedProcess:
    """Run a command in a namespace."""
    return subprocess.run(
        ["nsenter", f"--net={namespaces.DIRECTORY / space}", *command],
        check=check,
        capture_output=True,
        text=True,
        timeout=30,
    )


def pings(space: str, address: str, count: int = 1) -> bool:
    """Whether an address answers within a second."""
    return (
        run_in(space, "ping", "-c", str(count), "-i", "0.2", "-W", "1", address, check=False).returncode == 0
    )


def connect(space: str, address: str, port: int, seconds: float = 1.0) -> socket.socket:
    """A TCP connection from a namespace. Raises OSError."""
    with namespaces.inside(space):
        connection = socket.socket()
    connection.settimeout(seconds)
    try:
        connection.connect((address, port))
    except OSError:
        connection.close()
        raise
    return connection


def reaches(space: str, address: str, port: int, seconds: float = 1.0) -> bool:
    """Whether a TCP connection from a namespace begins."""
    try:
        connect(space, address, port, seconds).close()
    except OSError:
        return False
    return True


def ethernet(target: str, source: str, kind: int, body: bytes) -> bytes:
    """A frame."""
    return bytes.fromhex(target.replace(":", "") + source.replace(":", "")) + struct.pack("!H", kind) + body


def udp(source: str, target: str, ports: tuple[int, int], body: bytes) -> bytes:
    """An IPv4 packet with a UDP datagram, without a checksum of it."""
    datagram = struct.pack("!HHHH", *ports, 8 + len(body), 0) + body
    header = struct.pack("!BBHHHBBH", 0x45, 0, 20 + len(datagram), 0, 0, 64, 17, 0)
    header += socket.inet_aton(source) + socket.inet_aton(target)
    total = sum(struct.unpack("!10H", header))
    total = (total & 0xFFFF) + (total >> 16)
    return header[:10] + struct.pack("!H", ~total & 0xFFFF) + header[12:] + datagram
