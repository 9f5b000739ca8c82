"""Answers DHCP for all ports of the host: one socket on each tap, so an answer can reach no other guest."""

import ctypes
import logging
import socket
import struct
from asyncio import AbstractEventLoop
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from node.wire import dhcp_packet, leases
from node.wire.leases import Lease

log = logging.getLogger(__name__)
_ETH_P_ALL, _SOL_PACKET, _PACKET_IGNORE_OUTGOING, _SO_ATTACH_FILTER = 3, 263, 23, 26
_BATCH = 32
# Passes unfragmented UDP over IPv4 to the server's port: (code, jump true, jump false, value) each.
_FILTER = (
    (0x28, 0, 0, 12),  # ethertype
    (0x15, 0, 8, 0x0800),
    (0x30, 0, 0, 23),  # protocol
    (0x15, 0, 6, 17),
    (0x28, 0, 0, 20),  # fragment offset
    (0x45, 4, 0, 0x1FFF),
    (0xB1, 0, 0, 14),  # length of the IP header
    (0x48, 0, 0, 16),  # destination port
    (0x15, 0, 1, dhcp_packet.SERVER_PORT),
    (0x06, 0, 0, 0x40000),
    (0x06, 0, 0, 0),
)


@dataclass(slots=True)
class _Place:
    index: int
    lease: Lease
    raw: socket.socket


class Responder:
    """Serves the leases that it was last given, on the loop. `hostname` tells a port's, or nothing."""

    def __init__(self, loop: AbstractEventLoop, hostname: Callable[[str], str]) -> None:
        self._loop = loop
        self._hostname = hostname
        self._places: dict[str, _Place] = {}

    def serve(self, wanted: Mapping[str, Lease]) -> None:
        """Serve exactly these leases, by the names of their taps."""
        for tap in self._places.keys() - wanted.keys():
            self._close(tap)
        for tap, lease in wanted.items():
            try:
                self._place(tap, lease)
            except OSError as error:  # the tap went meanwhile; it is served when it is back
                log.warning("no DHCP on %s: %s", tap, error)

    def close(self) -> None:
        """Serve nobody."""
        self.serve({})

    def _place(self, tap: str, lease: Lease) -> None:
        index, place = socket.if_nametoindex(tap), self._places.get(tap)
        if place is not None and place.index == index:
            place.lease = lease
            return
        self._close(tap)
        self._places[tap] = _Place(index, lease, _listen(tap))
        self._loop.add_reader(self._places[tap].raw, self._serve, tap)

    def _close(self, tap: str) -> None:
        place = self._places.pop(tap, None)
        if place is not None:
            self._loop.remove_reader(place.raw)
            place.raw.close()

    def _serve(self, tap: str) -> None:
        place = self._places[tap]
        try:
            for _ in range(_BATCH):
                self._answer(tap, place, place.raw.recv(2048))
        except BlockingIOError:
            return
        except OSError as error:  # the tap is gone or down
            log.debug("DHCP on %s: %s", tap, error)

    def _answer(self, tap: str, place: _Place, frame: bytes) -> None:
        request = dhcp_packet.parse(frame)
        if request is None:
            return
        if request.kind == dhcp_packet.DECLINE and request.mac == place.lease.mac:
            log.warning("the guest on %s says that %s is in use already", tap, place.lease.address)
        answer = leases.answer(request, place.lease, self._hostname(place.lease.port_id))
        if answer is not None:
            place.raw.send(answer)


def _listen(tap: str) -> socket.socket:
    """A socket that hears what the guest sends, before the bridge takes it, and speaks to the guest alone."""
    raw = socket.socket(socket.AF_PACKET, socket.SOCK_RAW | socket.SOCK_NONBLOCK, 0)
    try:
        program = b"".join(struct.pack("HBBI", *line) for line in _FILTER)
        held = ctypes.create_string_buffer(program)
        raw.setsockopt(
            socket.SOL_SOCKET, _SO_ATTACH_FILTER, struct.pack("HL", len(_FILTER), ctypes.addressof(held))
        )
        raw.setsockopt(_SOL_PACKET, _PACKET_IGNORE_OUTGOING, 1)
        raw.bind((tap, _ETH_P_ALL))
    except OSError:
        raw.close()
        raise
    return raw
