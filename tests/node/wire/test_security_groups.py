"""What no rule allows does not pass; what was allowed and is not any more, ends."""

import pytest

from tests.node.wire.guest import connect
from tests.node.wire.lab import Lab, eventually
from tests.node.wire.world import ANYTHING, EGRESS, INGRESS, rule

pytestmark = pytest.mark.system
A, B, C = "10.1.0.11", "10.1.0.12", "10.1.0.13"


def echoes(connection) -> bool:
    """Whether a connection still carries something both ways."""
    try:
        connection.sendall(b"x")
        return connection.recv(1) == b"x"
    except OSError:
        return False


def test_only_what_a_rule_allows_comes_in(lab: Lab) -> None:
    h1, h2 = lab.hosts
    net = lab.world.network("10.1.0.0/24")
    group = lab.world.group(rule(INGRESS, "tcp", (8080, 8090)), rule(EGRESS))
    a, b = lab.world.port(net, h2, A), lab.world.port(net, h1, B, group)
    lab.tell(a, b)
    client, server = lab.guest(a), lab.guest(b)
    for port in (8080, 8090, 8091):
        lab.listen(server.space, port)
    assert client.reaches(B, 8080)
    assert client.reaches(B, 8090)
    assert not client.reaches(B, 8091, 0.5)
    assert not client.pings(B)
    assert server.pings(A)  # its own questions are answered


def test_only_what_a_rule_allows_goes_out(lab: Lab) -> None:
    h1, _ = lab.hosts
    net = lab.world.network("10.1.0.0/24")
    group = lab.world.group(rule(EGRESS, "tcp", (8080, 8080), cidr=f"{B}/32"))
    a, b, c = (lab.world.port(net, h1, A, group), lab.world.port(net, h1, B), lab.world.port(net, h1, C))
    lab.tell(a, b, c)
    client, *servers = lab.guest(a), lab.guest(b), lab.guest(c)
    for server in servers:
        lab.listen(server.space, 8080)
    lab.listen(servers[0].space, 9090)
    assert client.reaches(B, 8080)
    assert not client.reaches(C, 8080, 0.5)
    assert not client.reaches(B, 9090, 0.5)


def test_without_any_rule_nothing_passes_but_dhcp(lab: Lab) -> None:
    h1, _ = lab.hosts
    net = lab.world.network("10.1.0.0/24")
    a, b = lab.world.port(net, h1, A, lab.world.group()), lab.world.port(net, h1, B)
    lab.tell(a, b)
    closed, other = lab.guest(a, dhcp=True), lab.guest(b)
    assert closed.dhcp()["ip"] == A
    assert not closed.pings(B)
    assert not other.pings(A)
    lab.world.groups[a.security_group_ids[0]].rules.extend(ANYTHING)
    lab.tell()
    assert eventually(lambda: other.pings(A))


def test_a_remote_group_lets_its_members_in_on_both_hosts(lab: Lab) -> None:
    h1, h2 = lab.hosts
    net = lab.world.network("10.1.0.0/24")
    clients = lab.world.group(rule(EGRESS))
    servers = lab.world.group(rule(INGRESS, "tcp", (8080, 8080), group=clients.id))
    b = lab.world.port(net, h1, B, servers)
    a, c = lab.world.port(net, h2, A, clients), lab.world.port(net, h1, C)
    lab.tell(a, b, c)
    member, server, stranger = lab.guest(a), lab.guest(b), lab.guest(c)
    lab.listen(server.space, 8080)
    assert member.reaches(B, 8080)
    assert not stranger.reaches(B, 8080, 0.5)
    c.security_group_ids.append(clients.id)
    c.revision = 2
    lab.tell(c)
    assert eventually(lambda: stranger.reaches(B, 8080, 0.5))


def test_a_connection_ends_when_its_rule_is_taken_away_and_others_go_on(lab: Lab) -> None:
    h1, h2 = lab.hosts
    net = lab.world.network("10.1.0.0/24")
    group = lab.world.group(
        rule(INGRESS, "tcp", (8080, 8080)), rule(INGRESS, "tcp", (9090, 9090)), rule(EGRESS)
    )
    a, b = lab.world.port(net, h2, A), lab.world.port(net, h1, B, group)
    lab.tell(a, b)
    client, server = lab.guest(a), lab.guest(b)
    for port in (8080, 9090):
        lab.listen(server.space, port)
    with connect(client.space, B, 8080) as revoked, connect(client.space, B, 9090) as kept:
        assert echoes(revoked)
        assert echoes(kept)
        del group.rules[0]
        lab.tell()
        assert eventually(lambda: not client.reaches(B, 8080, 0.3))
        assert not echoes(revoked)
        assert echoes(kept)


def test_a_connection_ends_when_its_peer_leaves_the_group(lab: Lab) -> None:
    h1, _ = lab.hosts
    net = lab.world.network("10.1.0.0/24")
    clients, others = lab.world.group(rule(EGRESS)), lab.world.group(*ANYTHING)
    servers = lab.world.group(rule(INGRESS, "tcp", (8080, 8080), group=clients.id), rule(EGRESS))
    a = lab.world.port(net, h1, A, clients, others)
    b = lab.world.port(net, h1, B, servers)
    lab.tell(a, b)
    client, server = lab.guest(a), lab.guest(b)
    lab.listen(server.space, 8080)
    with connect(client.space, B, 8080) as connection:
        assert echoes(connection)
        del a.security_group_ids[:]
        a.security_group_ids.append(others.id)
        a.revision = 2
        lab.tell(a)
        assert not echoes(connection)
    assert not client.reaches(B, 8080, 0.3)


def test_ipv6_rules_are_of_ipv6(lab: Lab) -> None:
    h1, h2 = lab.hosts
    net = lab.world.network("10.1.0.0/24")
    group = lab.world.group(rule(INGRESS, "icmpv6", version="6"), rule(EGRESS, version="6"), rule(EGRESS))
    a = lab.world.port(net, h2, A, more=["fd00:1::11"])
    b = lab.world.port(net, h1, B, group, more=["fd00:1::12"])
    lab.tell(a, b)
    client, _ = lab.guest(a), lab.guest(b)
    assert client.pings("fd00:1::12")
    assert not client.pings(B)


def test_losing_what_the_filters_stand_on_closes_and_does_not_open(lab: Lab) -> None:
    h1, _ = lab.hosts
    net = lab.world.network("10.1.0.0/24")
    a, b = lab.world.port(net, h1, A), lab.world.port(net, h1, B)
    lab.tell(a, b)
    first, _ = lab.guest(a), lab.guest(b)
    assert first.pings(B)
    lab.end_agent(h1)
    try:
        lab.on(h1, "nft", "flush map bridge weft port")
        assert not first.pings(B)
    finally:
        lab.start_agent(h1)
    assert eventually(lambda: first.pings(B), 20)
    lab.end_agent(h1)
    try:
        bridge = f"wb{net.id[:11]}"
        lab.on(h1, "ip", "link", "set", bridge, "type", "bridge", "nf_call_iptables", "0")
        lab.on(h1, "sysctl", "-qw", "net.bridge.bridge-nf-call-iptables=0")
        assert not first.pings(B)
    finally:
        lab.start_agent(h1)
    assert eventually(lambda: first.pings(B), 20)


def test_a_rule_that_makes_no_sense_allows_nothing_and_harms_no_other(lab: Lab) -> None:
    h1, _ = lab.hosts
    net = lab.world.network("10.1.0.0/24")
    nonsense = (rule(INGRESS, "carrier-pigeon"), rule(INGRESS, "tcp", (9, 3)), rule(INGRESS, cidr="fd00::/8"))
    group = lab.world.group(*nonsense, rule(INGRESS, "tcp", (8080, 8080)), rule(EGRESS))
    a, b = lab.world.port(net, h1, A), lab.world.port(net, h1, B, group)
    lab.tell(a, b)
    client, server = lab.guest(a), lab.guest(b)
    lab.listen(server.space, 8080)
    assert client.reaches(B, 8080)
    assert not client.pings(B)
