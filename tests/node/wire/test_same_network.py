"""Guests of one network reach each other, on one host and across; those of others do not."""

import pytest

from node.wire import names
from tests.node.wire.lab import Lab

pytestmark = pytest.mark.system


def test_two_guests_on_one_host_reach_each_other(lab: Lab) -> None:
    h1, _ = lab.hosts
    net = lab.world.network("10.1.0.0/24")
    a, b = (lab.world.port(net, h1, address) for address in ("10.1.0.11", "10.1.0.12"))
    lab.tell(a, b)
    first, second = lab.guest(a), lab.guest(b)
    assert first.pings("10.1.0.12")
    assert second.pings("10.1.0.11")
    lab.listen(second.space, 8080)
    assert first.reaches("10.1.0.12", 8080)


def test_two_guests_on_two_hosts_reach_each_other(lab: Lab) -> None:
    h1, h2 = lab.hosts
    net = lab.world.network("10.1.0.0/24")
    a, b = lab.world.port(net, h1, "10.1.0.11"), lab.world.port(net, h2, "10.1.0.12")
    lab.tell(a, b)
    first, second = lab.guest(a), lab.guest(b)
    assert first.pings("10.1.0.12")
    lab.listen(second.space, 8080)
    assert first.reaches("10.1.0.12", 8080)


def test_full_sized_packets_cross_hosts(lab: Lab) -> None:
    h1, h2 = lab.hosts
    net = lab.world.network("10.1.0.0/24")
    a, b = lab.world.port(net, h1, "10.1.0.11"), lab.world.port(net, h2, "10.1.0.12")
    lab.tell(a, b)
    first, _ = lab.guest(a), lab.guest(b)
    full = first.run("ping", "-c1", "-W1", "-M", "do", "-s", str(1450 - 28), "10.1.0.12", check=False)
    larger = first.run("ping", "-c1", "-W1", "-M", "do", "-s", str(1450 - 27), "10.1.0.12", check=False)
    assert (full.returncode == 0, larger.returncode == 0) == (True, False)


def test_who_has_questions_for_known_guests_do_not_cross_hosts(lab: Lab) -> None:
    h1, h2 = lab.hosts
    net = lab.world.network("10.1.0.0/24")
    a, b = lab.world.port(net, h1, "10.1.0.11"), lab.world.port(net, h2, "10.1.0.12")
    lab.tell(a, b)
    first, second = lab.guest(a), lab.guest(b)
    question = b"\x00\x01" + bytes.fromhex(a.mac_address.replace(":", "")) + bytes([10, 1, 0, 11]) + bytes(6)
    with second.hears() as ears:
        first.pings("10.1.0.77")
        assert ears.hear(question + bytes([10, 1, 0, 77]))  # nobody knows this one: all are asked
    with second.hears() as ears:
        assert first.pings("10.1.0.12")
        assert not ears.hear(question + bytes([10, 1, 0, 12]))


def test_ipv6_works_between_hosts(lab: Lab) -> None:
    h1, h2 = lab.hosts
    net = lab.world.network("10.1.0.0/24")
    a = lab.world.port(net, h1, "10.1.0.11", more=["fd00:1::11"])
    b = lab.world.port(net, h2, "10.1.0.12", more=["fd00:1::12"])
    lab.tell(a, b)
    first, second = lab.guest(a), lab.guest(b)
    assert first.pings("fd00:1::12")
    assert second.pings("fd00:1::11")


def test_tenants_with_the_same_addresses_do_not_meet(lab: Lab) -> None:
    h1, h2 = lab.hosts
    ours, theirs = lab.world.network("10.1.0.0/24"), lab.world.network("10.1.0.0/24")
    a, b = lab.world.port(ours, h1, "10.1.0.11"), lab.world.port(ours, h2, "10.1.0.12")
    c, d = lab.world.port(theirs, h1, "10.1.0.11"), lab.world.port(theirs, h2, "10.1.0.13")
    lab.tell(a, b, c, d)
    a_guest, b_guest, c_guest, d_guest = (lab.guest(port) for port in (a, b, c, d))
    mine, other = lab.listen(b_guest.space, 8080), lab.listen(d_guest.space, 8080)
    assert a_guest.reaches("10.1.0.12", 8080)
    assert c_guest.reaches("10.1.0.13", 8080)
    assert not a_guest.reaches("10.1.0.13", 8080)
    assert not c_guest.reaches("10.1.0.12", 8080)
    assert (len(mine.peers), len(other.peers)) == (1, 1)


def test_a_port_that_is_down_carries_nothing(lab: Lab) -> None:
    h1, _ = lab.hosts
    net = lab.world.network("10.1.0.0/24")
    a, b = (lab.world.port(net, h1, address) for address in ("10.1.0.11", "10.1.0.12"))
    lab.tell(a, b)
    first, _ = lab.guest(a), lab.guest(b)
    assert first.pings("10.1.0.12")
    b.admin_state_up, b.revision = False, 2
    lab.tell(a, b)
    assert not first.pings("10.1.0.12")
    b.admin_state_up, b.revision = True, 3
    lab.tell(a, b)
    assert first.pings("10.1.0.12")


def test_what_is_not_wanted_any_more_goes(lab: Lab) -> None:
    h1, _ = lab.hosts
    net = lab.world.network("10.1.0.0/24")
    a = lab.world.port(net, h1, "10.1.0.11")
    lab.tell(a)
    ours = [names.tap(a.id), names.bridge(net.id), names.vxlan(net.id), names.metadata_link(net.id)]
    links = lab.on(h1, "ip", "-br", "link")
    assert all(name in links for name in ours)
    lab.clear()
    links, rules = lab.on(h1, "ip", "-br", "link"), lab.on(h1, "nft", "list", "ruleset")
    assert not any(name in links for name in ours)
    assert names.tap(a.id) not in rules
    assert net.id not in lab.on(h1, "ip", "netns")


def test_what_others_have_on_the_host_stays(lab: Lab) -> None:
    h1, _ = lab.hosts
    foreign = "tap12345678-9a"  # like one of ours, but nobody says that it is
    lab.on(h1, "ip", "link", "add", "theirs", "type", "bridge")
    lab.on(h1, "ip", "tuntap", "add", foreign, "mode", "tap")
    lab.on(h1, "nft", "add table inet theirs")
    net = lab.world.network("10.1.0.0/24")
    lab.tell(lab.world.port(net, h1, "10.1.0.11"))
    lab.clear()
    links = lab.on(h1, "ip", "-br", "link")
    assert "theirs" in links
    assert foreign in links
    assert "weft-ext" in links
    assert "table inet theirs" in lab.on(h1, "nft", "list", "ruleset")
    lab.on(h1, "ip", "link", "del", foreign)
