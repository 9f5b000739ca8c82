"""DHCP answers, octet by octet."""

import struct
from dataclasses import replace
from ipaddress import IPv4Address, IPv4Network

import pytest

from node.wire import dhcp_packet as dhcp
from node.wire.dhcp_packet import Option
from node.wire.leases import Lease, answer, lease
from tests.node.wire.world import Host, World

MAC = "fa:16:3e:00:00:05"
LEASE = Lease(
    port_id="p",
    mac=MAC,
    address=IPv4Address("10.0.0.5"),
    network=IPv4Network("10.0.0.0/24"),
    server=IPv4Address("10.0.0.2"),
    server_mac="0e:00:00:00:00:01",
    router=IPv4Address("10.0.0.1"),
    name_servers=(IPv4Address("9.9.9.9"),),
    routes=((IPv4Network("169.254.169.254/32"), IPv4Address("10.0.0.2")),),
    mtu=1450,
)


def question(kind: int, *, mac: str = MAC, client: str = "0.0.0.0", **options: bytes) -> dhcp.Request:
    """A client's message."""
    given = {int(code[1:]): value for code, value in options.items()}
    return dhcp.Request(7, 0, IPv4Address(client), dhcp.NONE, mac, {Option.TYPE: bytes([kind])} | given)


def frame(request: dhcp.Request) -> bytes:
    """The message as a client's card sends it."""
    body = struct.pack(
        "!BBBBIHH4s4s4s4s16s192x4s",
        *(1, 1, 6, 0, request.transaction, 0, request.flags),
        *(request.client_address.packed, bytes(4), bytes(4), request.relay.packed),
        bytes.fromhex(request.mac.replace(":", "")).ljust(16, b"\0"),
        b"\x63\x82\x53\x63",
    )
    body += b"".join(bytes([code, len(value)]) + value for code, value in request.options.items()) + b"\xff"
    return bytes(14) + b"\x45" + bytes(19) + bytes(8) + body


def options(reply: bytes) -> dict[int, bytes]:
    """The options of an answer."""
    found, data = {}, reply[14 + 20 + 8 + 240 :]
    while data[0] != Option.END:
        found[data[0]] = data[2 : 2 + data[1]]
        data = data[2 + data[1] :]
    return found


def test_a_message_is_read_as_it_was_written() -> None:
    asked = question(dhcp.REQUEST, o50=bytes([10, 0, 0, 5]), client="10.0.0.9")
    assert dhcp.parse(frame(asked)) == asked


@pytest.mark.parametrize("cut", [0, 14, 15, 60, 281])
def test_a_message_that_is_cut_short_is_none(cut: int) -> None:
    whole = frame(question(dhcp.DISCOVER))
    assert dhcp.parse(whole) is not None
    assert dhcp.parse(whole[:cut]) is None


def test_options_that_end_too_early_do_no_harm() -> None:
    found = dhcp.parse(frame(question(dhcp.DISCOVER))[:-1] + b"\x32\x04\x0a")
    assert found is not None
    assert found.address(Option.REQUESTED) is None


def test_an_offer_holds_everything() -> None:
    reply = answer(question(dhcp.DISCOVER), LEASE, "anna")
    assert reply is not None
    found = options(reply)
    assert found[Option.TYPE] == bytes([dhcp.OFFER])
    assert found[Option.MASK] == IPv4Address("255.255.255.0").packed
    assert found[Option.ROUTER] == LEASE.router.packed
    assert found[Option.HOSTNAME] == b"anna"
    assert found[Option.MTU] == struct.pack("!H", 1450)
    assert found[Option.ROUTES] == bytes([32, 169, 254, 169, 254, 10, 0, 0, 2])
    assert reply[:6] == bytes.fromhex(MAC.replace(":", ""))
    assert reply[14 + 20 + 8 + 16 : 14 + 20 + 8 + 20] == LEASE.address.packed


@pytest.mark.parametrize(
    ("asked", "kind"),
    [
        (question(dhcp.REQUEST, o50=bytes([10, 0, 0, 5])), dhcp.ACK),
        (question(dhcp.REQUEST, client="10.0.0.5"), dhcp.ACK),
        (question(dhcp.REQUEST, o50=bytes([10, 0, 0, 6])), dhcp.NAK),
        (question(dhcp.REQUEST, o50=bytes([10, 0, 0, 6]), o54=bytes([10, 0, 0, 99])), None),
        (question(dhcp.INFORM, client="10.0.0.5"), dhcp.ACK),
        (question(dhcp.DISCOVER, mac="fa:16:3e:00:00:06"), None),
        (question(dhcp.DECLINE), None),
        (question(dhcp.RELEASE), None),
    ],
)
def test_what_is_answered_to_what(asked: dhcp.Request, kind: int | None) -> None:
    reply = answer(asked, LEASE, "")
    assert (options(reply)[Option.TYPE][0] if reply else None) == kind


def test_a_relayed_request_is_not_ours() -> None:
    assert answer(replace(question(dhcp.DISCOVER), relay=IPv4Address("10.0.0.9")), LEASE, "") is None


def test_a_long_list_of_routes_is_several_options() -> None:
    many = tuple((IPv4Network(f"10.{n}.0.0/16"), IPv4Address("10.0.0.1")) for n in range(60))
    reply = answer(question(dhcp.DISCOVER), replace(LEASE, routes=many), "")
    assert reply is not None
    assert reply.count(bytes([Option.ROUTES, 255])) == 1


def test_only_addresses_of_subnets_with_dhcp_are_leased() -> None:
    host = Host("h", "100.64.0.1")
    world = World([host])
    served, silent = (
        world.network("10.0.0.0/24", gateway="10.0.0.1"),
        world.network("10.1.0.0/24", dhcp=False),
    )
    found = lease(world.port(served, host, "10.0.0.5"), served)
    assert found is not None
    assert (str(found.address), str(found.server)) == ("10.0.0.5", "10.0.0.2")
    assert lease(world.port(silent, host, "10.1.0.5"), silent) is None
