"""The wanted state: whole, in parts, on disk; and what of it was narrowed."""

from pathlib import Path

from node.wire import narrowing, state
from node.wire.numbers import Numbers
from tests.node.wire.world import ANYTHING, EGRESS, INGRESS, Host, World, rule
from weft.network.v1 import host_state_pb2 as pb

HOST = Host("h", "100.64.0.1")


def taken(*messages: pb.HostState) -> state.State:
    """A state after these messages."""
    found = state.State()
    for message in messages:
        found.take(message)
    return found


def world_of_one() -> tuple[World, pb.HostPort]:
    """A network with one port."""
    world = World([HOST])
    return world, world.port(world.network("10.0.0.0/24"), HOST, "10.0.0.5")


def test_a_whole_state_replaces_and_a_part_adds_and_takes_away() -> None:
    world, port = world_of_one()
    found = taken(world.state(HOST))
    assert set(found.ports) == {port.id}
    found.take(pb.HostState(revision=9, ports=[pb.HostPort(id="other")]))
    assert set(found.ports) == {port.id, "other"}
    found.take(pb.HostState(revision=10, removed_port_ids=[port.id, "never there"]))
    assert (set(found.ports), found.revision) == ({"other"}, 10)
    found.take(world.state(HOST))
    assert set(found.ports) == {port.id}


def test_nothing_is_known_before_the_first_whole_state() -> None:
    assert not taken(pb.HostState(ports=[pb.HostPort(id="p")])).known
    assert taken(pb.HostState(complete=True)).known


def test_a_state_comes_back_from_its_file_and_a_broken_file_is_none(tmp_path: Path) -> None:
    world, _ = world_of_one()
    found, file = taken(world.state(HOST)), tmp_path / "deep" / "wire.state"
    assert not state.load(file).known
    state.save(found, file)
    assert state.load(file) == found
    file.write_bytes(b"\xff\xff\xff")
    assert not state.load(file).known


def test_numbers_stay_with_their_names_and_adopted_ones_do_too() -> None:
    numbers = Numbers(1, 3)
    numbers.adopt({"b": 2, "x": 99})
    assert numbers.keep(["a", "b"]) == {"a": 1, "b": 2}
    assert numbers.keep(["b", "c"]) == {"b": 2, "c": 1}


def test_only_what_was_taken_away_narrows_a_port() -> None:
    world, port = world_of_one()
    group = world.groups[port.security_group_ids[0]]
    before = taken(world.state(HOST))
    group.rules.append(rule(INGRESS, "tcp", (1, 2)))
    wider = taken(_copy(world.state(HOST)))
    assert narrowing.ports(before, wider) == set()
    del group.rules[0]
    assert narrowing.ports(wider, taken(_copy(world.state(HOST)))) == {port.id}


def test_losing_a_member_of_a_remote_group_narrows_those_who_trust_it() -> None:
    world = World([HOST])
    net = world.network("10.0.0.0/24")
    trusted = world.group(rule(EGRESS))
    trusting = world.group(rule(INGRESS, group=trusted.id))
    member, server = world.port(net, HOST, "10.0.0.5", trusted), world.port(net, HOST, "10.0.0.6", trusting)
    world.port(net, HOST, "10.0.0.7", world.group(*ANYTHING))
    before = taken(_copy(world.state(HOST)))
    del world.ports[member.id]
    after = taken(_copy(world.state(HOST)))
    assert narrowing.ports(before, after) == {server.id}
    assert narrowing.removed_ports(before, after) == {net.id: ["10.0.0.5"]}


def _copy(message: pb.HostState) -> pb.HostState:
    return pb.HostState.FromString(message.SerializeToString())
