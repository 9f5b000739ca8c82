"""Whatever happens to the kernel or to the agent, the network becomes what it should be again."""

import random
import signal
import time

import pytest

from node.wire import names
from tests.node.wire.guest import Guest, connect, pings
from tests.node.wire.lab import OUTSIDE, Lab, eventually
from tests.node.wire.world import EGRESS, INGRESS, rule
from weft.network.v1 import host_state_pb2 as pb

pytestmark = pytest.mark.system
A, B = "10.1.0.11", "10.1.0.12"


def pair(lab: Lab) -> tuple[pb.HostNetwork, pb.HostPort, pb.HostPort, Guest, Guest]:
    """Two guests of a network, on two hosts."""
    h1, h2 = lab.hosts
    net = lab.world.network("10.1.0.0/24", gateway="10.1.0.1")
    a, b = lab.world.port(net, h1, A), lab.world.port(net, h2, B)
    lab.tell(a, b)
    first, second = lab.guest(a), lab.guest(b)
    assert first.pings(B)
    return net, a, b, first, second


@pytest.mark.parametrize(
    "harm",
    [
        "ip link del wx{net}",
        "ip link set wb{net} down",
        "ip link set tap{port} nomaster",
        "ip link set tap{port} down",
        "ip link set wx{net} mtu 1000",
        "bridge link set dev tap{port} locked off learning on",
    ],
)
def test_drift_of_links_is_repaired_when_it_happens(lab: Lab, harm: str) -> None:
    h1, _ = lab.hosts
    net, a, _, first, _ = pair(lab)
    lab.on(h1, *harm.format(net=net.id[:11], port=a.id[:11]).split())
    link = harm.split()[3] if "bridge" not in harm else harm.split()[4]
    named = link.format(net=net.id[:11], port=a.id[:11])
    assert eventually(lambda: "drifted" in lab.log(h1) and named in lab.log(h1).split("drifted")[-1], 5)
    assert eventually(lambda: first.pings(B), 5)


def test_a_bridge_that_was_deleted_is_made_again_with_all_of_its_ports(lab: Lab) -> None:
    h1, _ = lab.hosts
    net, _, _, first, _ = pair(lab)
    lab.on(h1, "ip", "link", "del", names.bridge(net.id))
    assert eventually(lambda: first.pings(B), 5)


def test_an_agent_that_was_killed_leaves_guests_connected_and_finds_all_as_it_was(lab: Lab) -> None:
    h1, _ = lab.hosts
    _, a, _, first, _ = pair(lab)
    lab.end_agent(h1, signal.SIGKILL)
    assert first.pings(B)
    before = lab.on(h1, "ip", "-o", "link", "show", names.tap(a.id)).split(":")[0]
    lab.start_agent(h1)
    lab.retell()
    assert first.pings(B)
    assert lab.on(h1, "ip", "-o", "link", "show", names.tap(a.id)).split(":")[0] == before


def test_what_changed_while_the_agent_was_away_is_made_up_for(lab: Lab) -> None:
    h1, _ = lab.hosts
    net, *_ = pair(lab)
    lab.end_agent(h1, signal.SIGKILL)
    lab.on(h1, "nft", "flush chain inet weft from_port")
    lab.on(h1, "ip", "link", "add", "wb99999999-99", "type", "bridge")
    lab.on(h1, "ip", "netns", "add", names.router_space("0" * 8 + "-0000-0000-0000-" + "0" * 12, h1.id))
    c = lab.world.port(net, h1, "10.1.0.13")
    lab.start_agent(h1)
    lab.tell(c)
    third = lab.guest(c)
    assert third.pings(B)
    assert third.pings(A)
    assert "wb99999999-99" not in lab.on(h1, "ip", "-br", "link")
    assert f"weft-r-{'0' * 8}" not in lab.on(h1, "ip", "netns")
    assert "ct state invalid drop" in lab.on(h1, "nft", "list", "chain", "inet", "weft", "from_port")


def test_a_rule_revoked_while_the_agent_was_away_ends_its_connections(lab: Lab) -> None:
    h1, h2 = lab.hosts
    net = lab.world.network("10.1.0.0/24")
    group = lab.world.group(rule(INGRESS, "tcp", (8080, 8080)), rule(EGRESS))
    a, b = lab.world.port(net, h2, A), lab.world.port(net, h1, B, group)
    lab.tell(a, b)
    client, server = lab.guest(a), lab.guest(b)
    lab.listen(server.space, 8080)
    with connect(client.space, B, 8080) as connection:
        connection.sendall(b"x")
        assert connection.recv(1) == b"x"
        lab.end_agent(h1, signal.SIGKILL)
        connection.sendall(b"x")
        assert connection.recv(1) == b"x"
        del group.rules[0]
        lab.start_agent(h1)
        lab.retell()
        assert eventually(lambda: not client.reaches(B, 8080, 0.3))
        connection.settimeout(0.5)
        connection.sendall(b"x")
        with pytest.raises(TimeoutError):
            connection.recv(1)


def test_a_host_that_restarts_while_the_network_service_is_away_wires_what_it_knows(lab: Lab) -> None:
    h1, _ = lab.hosts
    net, _, _, first, _ = pair(lab)
    lab.end_agent(h1)
    lab.on(h1, "ip", "link", "del", names.bridge(net.id))
    assert not first.pings(B)
    with lab.without_control():
        lab.start_agent(h1)
        assert eventually(lambda: first.pings(B), 20)


def test_a_change_is_sent_as_a_part_and_leaves_the_rest(lab: Lab) -> None:
    h1, _ = lab.hosts
    net, _, _, first, _ = pair(lab)
    c = lab.world.port(net, h1, "10.1.0.13")
    lab.change(h1, pb.HostState(ports=[c], security_groups=[lab.world.groups[c.security_group_ids[0]]]))
    lab.reported(c.id, pb.WIRE_STATE_WIRED, c.revision)
    third = lab.guest(c)
    assert third.pings(A)
    assert first.pings(B)
    del lab.world.ports[c.id]
    lab.change(h1, pb.HostState(removed_port_ids=[c.id]))
    lab.reported(c.id, pb.WIRE_STATE_REMOVED)
    assert names.tap(c.id) not in lab.on(h1, "ip", "-br", "link")
    assert first.pings(B)


def test_a_router_that_lost_its_namespace_is_made_again(lab: Lab) -> None:
    h1, _ = lab.hosts
    net = lab.world.network("10.1.0.0/24", gateway="10.1.0.1")
    external = lab.world.network(f"{OUTSIDE}.0/24", gateway=f"{OUTSIDE}.1", flat="external", dhcp=False)
    router = lab.world.router(net)
    lab.world.way_out(router, h1, external, f"{OUTSIDE}.20")
    a = lab.world.port(net, h1, A)
    lab.tell(a)
    guest = lab.guest(a)
    assert guest.pings(f"{OUTSIDE}.1")
    lab.on(h1, "ip", "netns", "del", names.router_space(router.id, h1.id))
    assert eventually(lambda: guest.pings(f"{OUTSIDE}.1"), 10)
    assert eventually(lambda: pings(lab.outside, f"{OUTSIDE}.20"))


def test_an_agent_killed_at_any_moment_comes_back_to_exactly_what_is_wanted(lab: Lab) -> None:
    h1, _ = lab.hosts
    dice = random.Random(20261121)
    net = lab.world.network("10.1.0.0/24", gateway="10.1.0.1")
    lab.world.router(net)
    for round_ in range(5):
        for number in range(8):
            lab.world.port(net, h1, f"10.1.0.{20 + round_ * 8 + number}")
        for id in dice.sample(sorted(lab.world.ports), len(lab.world.ports) // 3):
            del lab.world.ports[id]
        lab.tell()
        time.sleep(dice.uniform(0, 0.3))
        lab.end_agent(h1, signal.SIGKILL)
        lab.start_agent(h1)
        if round_ % 2:
            time.sleep(dice.uniform(0.8, 1.6))  # some die while they begin
            lab.end_agent(h1, signal.SIGKILL)
            lab.start_agent(h1)
    lab.retell()
    wanted = {names.tap(id) for id in lab.world.ports}
    links = {line.split()[0].split("@")[0] for line in lab.on(h1, "ip", "-br", "link").splitlines()}
    assert {name for name in links if name.startswith("tap")} == wanted
    rules = lab.on(h1, "nft", "list", "map", "bridge", "weft", "port")
    assert all(name in rules for name in wanted)
    assert rules.count('"tap') == len(wanted)
    first, second = (lab.guest(port) for port in list(lab.world.ports.values())[:2])
    assert first.pings(list(lab.world.ports.values())[1].fixed_ips[0].ip_address)
    assert second.pings("10.1.0.1")


def test_a_host_that_is_given_up_is_left_as_it_was_found(lab: Lab) -> None:
    h1, _ = lab.hosts
    net, *_ = pair(lab)
    lab.end_agent(h1)
    lab.start_agent(h1, "--give-up")
    lab.retell()
    assert names.bridge(net.id) in lab.on(h1, "ip", "-br", "link")
    lab.end_agent(h1)
    links = {line.split()[0].split("@")[0] for line in lab.on(h1, "ip", "-br", "link").splitlines()}
    assert links == {"lo", "ifb0", "ifb1", "under0", "uplink", "weft-ext"} & links
    assert lab.on(h1, "nft", "list", "ruleset") == ""
    assert h1.id[:8] not in lab.on(h1, "ip", "netns")
    lab.start_agent(h1)
    lab.retell()
