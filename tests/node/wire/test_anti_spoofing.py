"""A guest speaks with its own addresses alone. Each test shows that the honest frame passes."""

import socket
import struct

import pytest

from node.wire.names import bridge
from tests.node.wire.guest import Guest, ethernet, udp
from tests.node.wire.lab import Lab
from weft.network.v1 import host_state_pb2 as pb
from weft.network.v1.resources_pb2 import AddressPair

pytestmark = pytest.mark.system
A, B = "10.1.0.11", "10.1.0.12"
IPV4, ARP, IPV6 = 0x0800, 0x0806, 0x86DD
OTHER_MAC = "fa:16:3e:ff:ff:01"


def pair(lab: Lab, **extra) -> tuple[pb.HostPort, pb.HostPort, Guest, Guest]:
    """Two guests on one host; `extra` is of the first's port."""
    h1, _ = lab.hosts
    net = lab.world.network("10.1.0.0/24")
    a, b = lab.world.port(net, h1, A, **extra), lab.world.port(net, h1, B)
    lab.tell(a, b)
    return a, b, lab.guest(a), lab.guest(b)


def arp_answer(target_mac: str, mac: str, address: str, source: str | None = None) -> bytes:
    """An ARP answer to B that says that `mac` has `address`."""
    octets = bytes.fromhex(mac.replace(":", "")), bytes.fromhex(target_mac.replace(":", ""))
    body = struct.pack("!HHBBH", 1, IPV4, 6, 4, 2) + octets[0] + socket.inet_aton(address)
    return ethernet(target_mac, source or mac, ARP, body + octets[1] + socket.inet_aton(B))


def passes(sender: Guest, hearer: Guest, frame: bytes, mark: bytes) -> bool:
    with hearer.hears() as ears:
        sender.sends(frame)
        return ears.hear(mark)


def test_a_guest_cannot_use_another_mac(lab: Lab) -> None:
    a, b, first, second = pair(lab)
    packet = udp(A, B, (1000, 2000), b"weft-mac-test")
    assert passes(first, second, ethernet(b.mac_address, a.mac_address, IPV4, packet), b"weft-mac-test")
    assert not passes(first, second, ethernet(b.mac_address, OTHER_MAC, IPV4, packet), b"weft-mac-test")


def test_a_guest_cannot_use_another_address(lab: Lab) -> None:
    a, b, first, second = pair(lab)
    for source, expected in ((A, True), ("10.1.0.99", False), (B, False)):
        frame = ethernet(b.mac_address, a.mac_address, IPV4, udp(source, B, (1000, 2000), b"weft-ip-test"))
        assert passes(first, second, frame, b"weft-ip-test") is expected


def test_another_address_is_its_own_from_when_it_is_given_until_it_is_taken(lab: Lab) -> None:
    a, b, first, second = pair(lab)
    more = "10.1.0.21"
    frame = ethernet(b.mac_address, a.mac_address, IPV4, udp(more, B, (1000, 2000), b"weft-more-test"))
    for given in (False, True, False):
        del a.fixed_ips[1:]
        if given:
            a.fixed_ips.add(subnet_id=a.fixed_ips[0].subnet_id, ip_address=more)
        a.revision += 1
        lab.tell(a, b)
        assert passes(first, second, frame, b"weft-more-test") is given


def test_a_guest_cannot_say_that_it_has_anothers_address(lab: Lab) -> None:
    a, b, first, second = pair(lab)
    mark = struct.pack("!HHBBH", 1, IPV4, 6, 4, 2)
    assert passes(first, second, arp_answer(b.mac_address, a.mac_address, A), mark)
    assert not passes(first, second, arp_answer(b.mac_address, a.mac_address, "10.1.0.1"), mark)
    assert not passes(first, second, arp_answer(b.mac_address, OTHER_MAC, A, source=a.mac_address), mark)


def test_a_guest_cannot_be_a_dhcp_server(lab: Lab) -> None:
    a, b, first, second = pair(lab)
    honest = ethernet(b.mac_address, a.mac_address, IPV4, udp(A, B, (68, 6800), b"weft-dhcp-test"))
    rogue = ethernet(b.mac_address, a.mac_address, IPV4, udp(A, B, (67, 68), b"weft-dhcp-test"))
    assert passes(first, second, honest, b"weft-dhcp-test")
    assert not passes(first, second, rogue, b"weft-dhcp-test")


def neighbour_answer(a: pb.HostPort, b: pb.HostPort, target: str, kind: int = 136) -> bytes:
    """An IPv6 neighbour (or router) advertisement from the first guest's address."""
    source, to = (socket.inet_pton(socket.AF_INET6, text) for text in ("fd00:1::11", "fd00:1::12"))
    body = struct.pack("!BBHI", kind, 0, 0, 0x60000000) + socket.inet_pton(socket.AF_INET6, target)
    pseudo = source + to + struct.pack("!II", len(body), 58) + body
    total = sum(struct.unpack(f"!{len(pseudo) // 2}H", pseudo))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    body = body[:2] + struct.pack("!H", ~total & 0xFFFF) + body[4:]
    header = struct.pack("!IHBB", 0x60000000, len(body), 58, 255) + source + to
    return ethernet(b.mac_address, a.mac_address, IPV6, header + body)


def test_a_guest_cannot_answer_for_anothers_ipv6_address_or_be_a_router(lab: Lab) -> None:
    h1, _ = lab.hosts
    net = lab.world.network("10.1.0.0/24")
    a = lab.world.port(net, h1, A, more=["fd00:1::11"])
    b = lab.world.port(net, h1, B, more=["fd00:1::12"])
    lab.tell(a, b)
    first, second = lab.guest(a), lab.guest(b)
    own, others = (socket.inet_pton(socket.AF_INET6, text) for text in ("fd00:1::11", "fd00:1::77"))
    flags = b"\x60\x00\x00\x00"
    assert passes(first, second, neighbour_answer(a, b, "fd00:1::11"), flags + own)
    assert not passes(first, second, neighbour_answer(a, b, "fd00:1::77"), flags + others)
    assert not passes(first, second, neighbour_answer(a, b, "fd00:1::11", kind=134), flags + own)


def test_allowed_address_pairs_may_be_used(lab: Lab) -> None:
    pairs = [
        AddressPair(ip_address="10.1.0.50"),
        AddressPair(ip_address="10.9.0.0/16"),
        AddressPair(ip_address="10.1.0.60", mac_address=OTHER_MAC),
    ]
    a, b, first, second = pair(lab, allowed_address_pairs=pairs)
    cases = (
        ("10.1.0.50", a.mac_address, True),
        ("10.9.3.4", a.mac_address, True),
        ("10.1.0.60", OTHER_MAC, True),
        ("10.1.0.60", a.mac_address, False),
        ("10.8.3.4", a.mac_address, False),
    )
    for address, mac, expected in cases:
        frame = ethernet(b.mac_address, mac, IPV4, udp(address, B, (1000, 2000), b"weft-pair-test"))
        assert passes(first, second, frame, b"weft-pair-test") is expected, address


def test_without_port_security_a_guest_may_use_any_address(lab: Lab) -> None:
    _, b, first, second = pair(lab, secured=False)
    frame = ethernet(b.mac_address, OTHER_MAC, IPV4, udp("10.7.7.7", B, (1000, 2000), b"weft-open-test"))
    assert passes(first, second, frame, b"weft-open-test")


def test_a_guest_cannot_reach_the_hosts_own_stack(lab: Lab) -> None:
    h1, _ = lab.hosts
    a, b, first, second = pair(lab)
    mac = lab.on(h1, "ip", "-br", "link", "show", bridge(a.network_id)).split()[2]
    packet = udp(A, h1.vtep, (1000, 2000), b"weft-host-test")
    listener = lab.listen(lab.spaces[h1.id], 2000)
    first.run("ip", "route", "add", h1.vtep, "dev", "eth0")
    first.run("ip", "neigh", "replace", h1.vtep, "lladdr", mac, "dev", "eth0", "nud", "permanent")
    assert not first.reaches(h1.vtep, 2000, seconds=0.5)
    assert listener.peers == []
    assert passes(first, second, ethernet(b.mac_address, a.mac_address, IPV4, packet), b"weft-host-test")
