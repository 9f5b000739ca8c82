"""The bridge half of the filters: which port a frame is of, and whether it may claim to come from there.

Every frame of a tap is marked with its port's number, or with one that nothing allows; the inet half
(`filters`) goes by that mark. What a guest may send: its own MAC, its own addresses (and the address pairs
allowed to it) in IP, ARP and neighbour discovery, and no answers of a DHCP server or IPv6 router. A missing
element, or a kernel that no longer passes bridged packets to the inet half, means that packets are dropped.
"""

from collections.abc import Iterable, Iterator, Mapping
from functools import lru_cache
from ipaddress import IPv4Address, IPv6Address, collapse_addresses, ip_network

from node.wire import names
from node.wire.ruleset import Chain, Elements, Hook, Table
from weft.network.v1 import host_state_pb2

SECURED, OPEN, UNKNOWN = 0x00010000, 0x00020000, 0x0001FFFF
FIRST, LAST = 1, 0xFFFE
SEEN = 0x80000000
_IS_SECURED = f"meta mark & 0xffff0000 == {SECURED}"

_MARK_SENDER = (
    'iifname "wx*" meta mark set 0',
    'iifname "wv*" meta mark set 0',
    'iifname "wm*" meta mark set 0',
    f'iifname "tap*" meta mark set {UNKNOWN}',
    "meta mark set iifname map @port",
    f"{_IS_SECURED} jump sender",
)
_MARK_RECEIVER = (
    'oifname "wm*" iifname != "tap*" drop',
    'iifname "wm*" oifname != "tap*" drop',
    'iifname "tap*" meta mark set 0',
    f'oifname "tap*" meta mark set {UNKNOWN}',
    "meta mark set oifname map @port",
    f"{_IS_SECURED} ether type != {{ ip, ip6, arp }} drop",
)
# A frame to a tap that the inet half has not seen is one that nobody filtered.
_REQUIRE_SEEN = (
    f'oifname "tap*" ether type {{ ip, ip6 }} meta mark & {SEEN} == 0 drop',
    f"meta mark & {SEEN} != 0 meta mark set 0",
)
_SENDER = (
    "iifname . ether saddr != @mac_ok drop",
    "ether type arp arp htype 1 iifname . arp saddr ether . arp saddr ip @arp_ok accept",
    "ether type arp arp htype 1 iifname . arp saddr ether . arp saddr ip @arp_net_ok accept",
    "ether type arp drop",
    "ip saddr 0.0.0.0 ip daddr 255.255.255.255 udp sport 68 udp dport 67 accept",
    "udp sport 67 udp dport 68 drop",
    "udp sport 547 udp dport 546 drop",
    "icmpv6 type { nd-router-advert, nd-redirect } drop",
    "icmpv6 type nd-neighbor-advert iifname . @th,64,128 != @nd_ok drop",
    "ip6 saddr :: icmpv6 type { nd-neighbor-solicit, mld2-listener-report } accept",
    "ether type ip iifname . ether saddr . ip saddr @ip4_ok accept",
    "ether type ip iifname . ether saddr . ip saddr @ip4_net_ok accept",
    "ether type ip6 iifname . ether saddr . ip6 saddr @ip6_ok accept",
    "ether type ip6 iifname . ether saddr . ip6 saddr @ip6_net_ok accept",
    "drop",
)
_CHAINS = {
    "sender": Chain.of(*_SENDER),
    "prerouting": Chain.of(*_MARK_SENDER, hook=Hook("filter", "prerouting", -300)),
    "forward": Chain.of(*_MARK_RECEIVER, hook=Hook("filter", "forward", -10)),
    "postrouting": Chain.of(*_REQUIRE_SEEN, hook=Hook("filter", "postrouting", 300)),
}
_SPECS = {
    "mac_ok": "type ifname . ether_addr;",
    "arp_ok": "type ifname . ether_addr . ipv4_addr;",
    "arp_net_ok": "type ifname . ether_addr . ipv4_addr; flags interval;",
    "ip4_ok": "type ifname . ether_addr . ipv4_addr;",
    "ip4_net_ok": "type ifname . ether_addr . ipv4_addr; flags interval;",
    "ip6_ok": "type ifname . ether_addr . ipv6_addr;",
    "ip6_net_ok": "type ifname . ether_addr . ipv6_addr; flags interval;",
    "nd_ok": "typeof iifname . @th,64,128;",
}


def table(ports: Iterable[host_state_pb2.HostPort], numbers: Mapping[str, int]) -> Table:
    """The bridge table for these ports; `numbers` gives each port's, by the name of its tap."""
    elements: dict[str, set[str]] = {name: set() for name in _SPECS}
    marks = set()
    for port in ports:
        tap = names.tap(port.id)
        base = SECURED if port.port_security_enabled else OPEN
        marks.add(f"{tap} : {base | numbers[tap]}")
        if port.port_security_enabled:
            for set_name, element in _allowed(tap, _frozen(senders(port))):
                elements[set_name].add(element)
    sets = {name: Elements(frozenset(found), spec=_SPECS[name]) for name, found in elements.items()}
    sets["port"] = Elements(frozenset(marks), is_map=True, spec="type ifname : mark;")
    return Table(_CHAINS, sets)


def senders(port: host_state_pb2.HostPort) -> dict[str, list[str]]:
    """Addresses and CIDRs that a port may send from, by MAC."""
    allowed = {port.mac_address: [fixed.ip_address for fixed in port.fixed_ips]}
    for pair in port.allowed_address_pairs:
        allowed.setdefault(pair.mac_address or port.mac_address, []).append(pair.ip_address)
    return allowed


def single_addresses(port: host_state_pb2.HostPort) -> list[IPv4Address | IPv6Address]:
    """The addresses that a port may send from, without its CIDRs."""
    networks = (ip_network(text, strict=False) for texts in senders(port).values() for text in texts)
    return [item.network_address for item in networks if item.prefixlen == item.max_prefixlen]


def link_local(mac: str) -> IPv6Address:
    """The address that a guest makes itself of its MAC (RFC 4291, appendix A)."""
    octets = bytearray(int(part, 16) for part in mac.split(":"))
    octets[0] ^= 2
    return IPv6Address(b"\xfe\x80" + bytes(6) + octets[:3] + b"\xff\xfe" + octets[3:])


def _frozen(allowed: Mapping[str, list[str]]) -> tuple[tuple[str, tuple[str, ...]], ...]:
    return tuple((mac, tuple(addresses)) for mac, addresses in allowed.items())


@lru_cache(maxsize=LAST)  # of a thousand ports one changes, and the others' addresses need no second parsing
def _allowed(tap: str, allowed: tuple[tuple[str, tuple[str, ...]], ...]) -> tuple[tuple[str, str], ...]:
    return tuple(_elements(tap, allowed))


def _elements(tap: str, allowed: tuple[tuple[str, tuple[str, ...]], ...]) -> Iterator[tuple[str, str]]:
    for mac, addresses in allowed:
        yield "mac_ok", f"{tap} . {mac}"
        yield "arp_ok", f"{tap} . {mac} . 0.0.0.0"  # a probe whether an address is free (RFC 5227)
        found = [ip_network(address, strict=False) for address in addresses]
        found.append(ip_network(link_local(mac)))
        for version in (4, 6):
            yield from _of_version(tap, mac, version, [net for net in found if net.version == version])


def _of_version(tap: str, mac: str, version: int, networks: list) -> Iterator[tuple[str, str]]:
    """Intervals of one set must not overlap, and a lookup of single addresses is much the faster one."""
    for network in collapse_addresses(networks):
        single = network.prefixlen == network.max_prefixlen
        where = network.network_address if single else network
        suffix = "ok" if single else "net_ok"
        yield f"ip{version}_{suffix}", f"{tap} . {mac} . {where}"
        if version == 4:
            yield f"arp_{suffix}", f"{tap} . {mac} . {where}"
        elif single:
            yield "nd_ok", f"{tap} . {int(network.network_address):#x}"
