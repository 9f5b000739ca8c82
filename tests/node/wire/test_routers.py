"""Routers: between subnets on every host, and out to the world on one."""

import pytest

from node.wire import names
from tests.node.wire.guest import connect, pings, reaches, run_in
from tests.node.wire.lab import OUTSIDE, Lab, eventually
from tests.node.wire.world import EGRESS, INGRESS, rule
from weft.network.v1 import host_state_pb2 as pb

pytestmark = pytest.mark.system
FLOATING = f"{OUTSIDE}.50"


def floating(address: str, port: pb.HostPort) -> pb.HostFloatingIp:
    """A floating IP for a port."""
    return pb.HostFloatingIp(
        id=port.id, address=address, fixed_ip=port.fixed_ips[0].ip_address, port_id=port.id
    )


def way_out(lab: Lab, *networks: pb.HostNetwork) -> pb.HostRouter:
    """A router of these networks that goes out on the first host, as 203.0.113.20."""
    external = lab.world.network(f"{OUTSIDE}.0/24", gateway=f"{OUTSIDE}.1", flat="external", dhcp=False)
    router = lab.world.router(*networks)
    lab.world.way_out(router, lab.hosts[0], external, f"{OUTSIDE}.20")
    return router


def test_a_router_joins_two_networks_on_one_host(lab: Lab) -> None:
    h1, _ = lab.hosts
    left = lab.world.network("10.1.0.0/24", gateway="10.1.0.1")
    right = lab.world.network("10.2.0.0/24", gateway="10.2.0.1")
    a, b = lab.world.port(left, h1, "10.1.0.11"), lab.world.port(right, h1, "10.2.0.11")
    lab.tell(a, b)
    first, _ = lab.guest(a), lab.guest(b)
    assert not first.pings("10.2.0.11")
    router = lab.world.router(left, right)
    lab.retell()
    assert eventually(lambda: first.pings("10.2.0.11"))
    assert first.pings("10.1.0.1")
    router.admin_state_up = False
    lab.retell()
    assert eventually(lambda: not first.pings("10.2.0.11"))


def test_a_router_joins_two_networks_across_hosts_with_rules_of_groups(lab: Lab) -> None:
    h1, h2 = lab.hosts
    left = lab.world.network("10.1.0.0/24", gateway="10.1.0.1")
    right = lab.world.network("10.2.0.0/24", gateway="10.2.0.1")
    web = lab.world.group(rule(INGRESS, "tcp", (8080, 8080), cidr="10.1.0.0/24"), rule(EGRESS))
    a, b = lab.world.port(left, h1, "10.1.0.11"), lab.world.port(right, h2, "10.2.0.11", web)
    lab.world.router(left, right)
    lab.tell(a, b)
    first, second = lab.guest(a), lab.guest(b)
    lab.listen(second.space, 8080)
    assert first.reaches("10.2.0.11", 8080)
    assert not first.pings("10.2.0.11")
    assert second.pings("10.1.0.11")


def test_guests_go_out_under_the_routers_address_from_both_hosts(lab: Lab) -> None:
    h1, h2 = lab.hosts
    net = lab.world.network("10.1.0.0/24", gateway="10.1.0.1")
    way_out(lab, net)
    a, b = lab.world.port(net, h1, "10.1.0.11"), lab.world.port(net, h2, "10.1.0.12")
    lab.tell(a, b)
    world = lab.listen(lab.outside, 8080)
    for port in (a, b):
        assert lab.guest(port).reaches(f"{OUTSIDE}.1", 8080)
    assert eventually(lambda: world.peers == [f"{OUTSIDE}.20"] * 2)


def test_from_outside_nobody_comes_in_without_a_floating_ip(lab: Lab) -> None:
    h1, _ = lab.hosts
    net = lab.world.network("10.1.0.0/24", gateway="10.1.0.1")
    router = way_out(lab, net)
    a = lab.world.port(net, h1, "10.1.0.11")
    lab.tell(a)
    guest = lab.guest(a)
    lab.listen(guest.space, 8080)
    run_in(lab.outside, "ip", "route", "replace", "10.1.0.0/24", "via", f"{OUTSIDE}.20")
    assert guest.pings(f"{OUTSIDE}.1")
    assert not reaches(lab.outside, "10.1.0.11", 8080, 0.5)
    router.snat_enabled = False  # the control: without translation the same way is open
    lab.retell()
    assert eventually(lambda: reaches(lab.outside, "10.1.0.11", 8080, 0.5))
    run_in(lab.outside, "ip", "route", "del", "10.1.0.0/24")


def test_a_floating_ip_leads_in_and_out_and_ends_when_taken_away(lab: Lab) -> None:
    _, h2 = lab.hosts
    net = lab.world.network("10.1.0.0/24", gateway="10.1.0.1")
    router = way_out(lab, net)
    a = lab.world.port(net, h2, "10.1.0.11")
    router.floating_ips.append(floating(FLOATING, a))
    lab.tell(a)
    guest = lab.guest(a)
    inside, world = lab.listen(guest.space, 8080), lab.listen(lab.outside, 9090)
    assert reaches(lab.outside, FLOATING, 8080)
    assert guest.reaches(f"{OUTSIDE}.1", 9090)
    assert eventually(lambda: (inside.peers, world.peers) == ([f"{OUTSIDE}.1"], [FLOATING]))
    with connect(lab.outside, FLOATING, 8080) as connection:
        connection.sendall(b"x")
        assert connection.recv(1) == b"x"
        del router.floating_ips[:]
        lab.retell()
        assert eventually(lambda: not pings(lab.outside, FLOATING))
        connection.settimeout(0.5)
        connection.sendall(b"x")
        with pytest.raises(TimeoutError):
            connection.recv(1)


def test_guests_reach_each_others_floating_ips(lab: Lab) -> None:
    h1, _ = lab.hosts
    net = lab.world.network("10.1.0.0/24", gateway="10.1.0.1")
    router = way_out(lab, net)
    a, b = lab.world.port(net, h1, "10.1.0.11"), lab.world.port(net, h1, "10.1.0.12")
    router.floating_ips.append(floating(FLOATING, b))
    lab.tell(a, b)
    first, second = lab.guest(a), lab.guest(b)
    listener = lab.listen(second.space, 8080)
    assert first.reaches(FLOATING, 8080)
    assert eventually(lambda: listener.peers == [f"{OUTSIDE}.20"])


def test_the_neighbourhood_hears_where_a_floating_ip_is_now(lab: Lab) -> None:
    h1, _ = lab.hosts
    net = lab.world.network("10.1.0.0/24", gateway="10.1.0.1")
    router = way_out(lab, net)
    a = lab.world.port(net, h1, "10.1.0.11")
    lab.tell(a)
    lab.guest(a)
    run_in(lab.outside, "sysctl", "-qw", "net.ipv4.neigh.uplink.locktime=0")
    stale = ["lladdr", "02:00:00:00:00:99", "dev", "uplink", "nud", "stale"]
    run_in(lab.outside, "ip", "neigh", "replace", FLOATING, *stale)
    router.floating_ips.append(floating(FLOATING, a))
    lab.retell()
    mac = router.external.mac_address
    assert eventually(lambda: mac in run_in(lab.outside, "ip", "neigh", "show", FLOATING).stdout, 3)
    assert eventually(lambda: pings(lab.outside, FLOATING))


def test_two_tenants_with_the_same_addresses_go_out_side_by_side(lab: Lab) -> None:
    h1, _ = lab.hosts
    external = lab.world.network(f"{OUTSIDE}.0/24", gateway=f"{OUTSIDE}.1", flat="external", dhcp=False)
    world = lab.listen(lab.outside, 8080)
    guests = []
    for number in (1, 2):
        net = lab.world.network("10.1.0.0/24", gateway="10.1.0.1")
        lab.world.way_out(lab.world.router(net), h1, external, f"{OUTSIDE}.{20 + number}")
        guests.append(lab.world.port(net, h1, "10.1.0.11"))
    lab.tell(*guests)
    assert all(lab.guest(port).reaches(f"{OUTSIDE}.1", 8080) for port in guests)
    assert eventually(lambda: sorted(world.peers) == [f"{OUTSIDE}.21", f"{OUTSIDE}.22"])


def test_a_guest_on_the_external_network_itself_is_wired_and_filtered(lab: Lab) -> None:
    h1, _ = lab.hosts
    external = lab.world.network(f"{OUTSIDE}.0/24", flat="external", dhcp=False)
    group = lab.world.group(rule(INGRESS, "tcp", (8080, 8080)), rule(EGRESS))
    a = lab.world.port(external, h1, f"{OUTSIDE}.60", group)
    lab.tell(a)
    guest = lab.guest(a)
    lab.listen(guest.space, 8080)
    lab.listen(guest.space, 8081)
    assert guest.pings(f"{OUTSIDE}.1")
    assert reaches(lab.outside, f"{OUTSIDE}.60", 8080)
    assert not reaches(lab.outside, f"{OUTSIDE}.60", 8081, 0.5)


def test_a_port_on_a_physical_network_that_the_host_lacks_is_reported_as_failed(lab: Lab) -> None:
    h1, _ = lab.hosts
    good, bad = lab.world.network("10.1.0.0/24"), lab.world.network("10.3.0.0/24", flat="moon", dhcp=False)
    a, b = lab.world.port(good, h1, "10.1.0.11"), lab.world.port(bad, h1, "10.3.0.11")
    lab.tell(a)
    lab.reported(b.id, pb.WIRE_STATE_FAILED)
    assert names.tap(b.id) not in lab.on(h1, "ip", "-br", "link")
    assert names.tap(a.id) in lab.on(h1, "ip", "-br", "link")
