"""DHCP messages (RFC 2131, 2132, 3442) inside Ethernet frames, as much as a server needs."""

import struct
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network

DISCOVER, OFFER, REQUEST, DECLINE, ACK, NAK, RELEASE, INFORM = range(1, 9)
SERVER_PORT, CLIENT_PORT = 67, 68
_MAGIC = b"\x63\x82\x53\x63"
_BOOTP = struct.Struct("!BBBBIHH4s4s4s4s16s192x4s")
_ETHERNET, _IPV4, _BROADCAST = 14, 0x0800, 0x8000
NONE = IPv4Address(0)
EVERYONE = IPv4Address("255.255.255.255")


class Option:
    """Numbers of options."""

    MASK, ROUTER, DNS, HOSTNAME, MTU, BROADCAST = 1, 3, 6, 12, 26, 28
    REQUESTED, LEASE, TYPE, SERVER, RENEW, REBIND, ROUTES, END = 50, 51, 53, 54, 58, 59, 121, 255


@dataclass(frozen=True, slots=True)
class Request:
    """What a client said."""

    transaction: int
    flags: int
    client_address: IPv4Address
    relay: IPv4Address
    mac: str
    options: dict[int, bytes]

    @property
    def kind(self) -> int:
        """DISCOVER, REQUEST and so on; 0 when it does not say."""
        return (self.options.get(Option.TYPE) or b"\0")[0]

    @property
    def wants_broadcast(self) -> bool:
        """Whether the client cannot yet take what is sent to its own address."""
        return bool(self.flags & _BROADCAST)

    def address(self, option: int) -> IPv4Address | None:
        """An option that is one address; None when it is absent or something else."""
        value = self.options.get(option, b"")
        return IPv4Address(value) if len(value) == 4 else None


def parse(frame: bytes) -> Request | None:
    """The request in a frame to the server's port; None when there is none that makes sense."""
    header = (frame[_ETHERNET] & 0x0F) * 4 if len(frame) > _ETHERNET else 0
    start = _ETHERNET + header + 8
    if len(frame) < start + _BOOTP.size:
        return None
    fields = _BOOTP.unpack_from(frame, start)
    operation, hardware, length, _, transaction, _, flags, client, _, _, relay, mac, magic = fields
    if (operation, hardware, length, magic) != (1, 1, 6, _MAGIC):
        return None
    options = _options(frame[start + _BOOTP.size :])
    text = ":".join(f"{octet:02x}" for octet in mac[:6])
    return Request(transaction, flags, IPv4Address(client), IPv4Address(relay), text, options)


def _options(data: bytes) -> dict[int, bytes]:
    found: dict[int, bytes] = {}
    position = 0
    while position < len(data) and data[position] != Option.END:
        code = data[position]
        if code == 0:
            position += 1
            continue
        if position + 1 >= len(data):
            break
        length = data[position + 1]
        found[code] = found.get(code, b"") + data[position + 2 : position + 2 + length]
        position += 2 + length
    return found


def routes(wanted: list[tuple[IPv4Network, IPv4Address]]) -> bytes:
    """Classless static routes (RFC 3442): each prefix by its significant octets."""
    return b"".join(
        bytes([network.prefixlen])
        + network.network_address.packed[: (network.prefixlen + 7) // 8]
        + via.packed
        for network, via in wanted
    )


def reply(
    request: Request, options: dict[int, bytes], *, server: IPv4Address, server_mac: str, given: IPv4Address
) -> bytes:
    """An answer as a frame from `server` to the client; `given` is its address, or none."""
    body = _BOOTP.pack(
        2,
        1,
        6,
        0,
        request.transaction,
        0,
        request.flags,
        request.client_address.packed if given != NONE else NONE.packed,
        given.packed,
        server.packed,
        NONE.packed,
        _octets(request.mac).ljust(16, b"\0"),
        _MAGIC,
    )
    body += b"".join(_option(code, value) for code, value in options.items()) + bytes([Option.END])
    target = EVERYONE if request.wants_broadcast or given == NONE else given
    # The frame goes to this client's link alone: its own MAC always reaches it.
    return (
        _octets(request.mac)
        + _octets(server_mac)
        + struct.pack("!H", _IPV4)
        + _datagram(server, target, body)
    )


def _option(code: int, value: bytes) -> bytes:
    """One longer than 255 octets is several (RFC 3396)."""
    parts = [value[start : start + 255] for start in range(0, len(value), 255)]
    return b"".join(bytes([code, len(part)]) + part for part in parts)


def _datagram(source: IPv4Address, target: IPv4Address, body: bytes) -> bytes:
    body = body.ljust(300, b"\0")  # the least that a BOOTP client takes (RFC 1542)
    udp_length = 8 + len(body)
    udp = struct.pack("!HHHH", SERVER_PORT, CLIENT_PORT, udp_length, 0) + body
    pseudo = source.packed + target.packed + struct.pack("!BBH", 0, 17, udp_length)
    udp = udp[:6] + struct.pack("!H", _checksum(pseudo + udp) or 0xFFFF) + udp[8:]
    header = struct.pack("!BBHHHBBH", 0x45, 0x10, 20 + udp_length, 0, 0x4000, 64, 17, 0)
    header += source.packed + target.packed
    return header[:10] + struct.pack("!H", _checksum(header)) + header[12:] + udp


def _checksum(data: bytes) -> int:
    data += b"\0" * (len(data) % 2)
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def _octets(mac: str) -> bytes:
    return bytes.fromhex(mac.replace(":", ""))
