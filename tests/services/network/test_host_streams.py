"""The streams' own parts: what is sent next, who is woken, which host is chosen."""

from hypothesis import given
from hypothesis import strategies as st

from mesh import clock, ids
from mesh.watch import Event
from services.network import event_keys
from services.network.host_streams import HostStreams
from services.network.model import Interface, Router
from services.network.routers import Candidate, choose_egress
from services.network.state_changes import Sent
from services.network.topology import connected
from tests.services.network.conftest import Cloud
from weft.network.v1 import host_state_pb2 as host_pb
from weft.network.v1 import resources_pb2 as pb

_STATES = st.dictionaries(st.sampled_from("abcdef"), st.integers(0, 3), max_size=6)


def _state(revision: int, ports: dict[str, int]) -> host_pb.HostState:
    state = host_pb.HostState(revision=revision, complete=True)
    state.ports.extend(host_pb.HostPort(id=id, revision=number) for id, number in sorted(ports.items()))
    return state


@given(st.lists(_STATES, min_size=1, max_size=8))
def test_what_is_sent_adds_up_to_the_newest_state_and_nothing_is_sent_twice(states: list[dict[str, int]]):
    sent, have = Sent(), {}
    for revision, wanted in enumerate(states):
        changes = sent.next(_state(revision, wanted))
        if changes is None:
            assert have == wanted
            continue
        assert changes.complete == (revision == 0)
        new = {port.id: port.revision for port in changes.ports}
        assert revision == 0 or all(have.get(id) != number for id, number in new.items())
        have = {**have, **new}
        for id in changes.removed_port_ids:
            del have[id]
        assert have == wanted


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3)), min_size=1, max_size=6))
def test_the_egress_host_has_most_ports_then_least_routers(given_hosts: list[tuple[int, int]]):
    candidates = [Candidate(f"host-{n}", ports, routers) for n, (ports, routers) in enumerate(given_hosts)]
    chosen = next(host for host in candidates if host.host_id == choose_egress(candidates))
    assert chosen.ports == max(host.ports for host in candidates)
    rivals = [host for host in candidates if host.ports == chosen.ports]
    assert chosen.routers == min(host.routers for host in rivals)


def test_without_a_candidate_there_is_no_egress_host():
    assert choose_egress([]) == ""


def _event(resource_type: str, message: pb.Port | pb.Router, id: str = "x") -> Event:
    return Event(1, "UPDATED", resource_type, id, "p", message.SerializeToString())


def test_an_event_wakes_those_who_depend_on_it_and_the_host_that_it_names():
    port = pb.Port(id="port", network_id="n", host_id="h", security_group_ids=["g"])
    assert event_keys.of(_event("port", port)) == event_keys.Keys(frozenset({"n", "g"}), frozenset({"h"}))
    router = pb.Router(id="r", host_id="h", gateway=pb.ExternalGateway(network_id="out"))
    assert event_keys.of(_event("router", router)) == event_keys.Keys(
        frozenset({"r", "out"}), frozenset({"h"})
    )
    assert event_keys.of(_event("security_group", pb.Port(), "g")).ids == {"g"}
    assert event_keys.of(_event("operation", pb.Port(), "o")).ids == frozenset()


async def test_an_event_that_came_while_a_state_was_read_wakes_its_stream_again(weft: Cloud):
    streams = HostStreams(weft.house.runtimes["network"].database)
    stream = streams.open(ids.new())
    stream.changed.clear()
    streams._heard(7, event_keys.Keys(frozenset({"network"})))
    assert not stream.changed.is_set()  # nobody knew yet that it depends on the network
    streams._depend(stream, frozenset({"network"}))
    streams._look_back(stream, 7)
    assert not stream.changed.is_set()  # what was read shows the event already
    streams._look_back(stream, 6)
    assert stream.changed.is_set()
    streams.close(stream)
    assert not streams._by_id
    assert not streams._streams


def _router(id: str, *networks: str, gateway: bool = False) -> Router:
    mac, address, cidr = "02:00:00:00:00:01", "10.0.0.1", "10.0.0.0/24"
    feet = tuple(Interface(f"port in {n}", n, f"subnet of {n}", mac, address, cidr) for n in networks)
    moment = clock.now()
    return Router(
        id=id,
        project_id="p",
        created_at=moment,
        updated_at=moment,
        name=id,
        admin_state_up=True,
        routes=[],
        gateway_network_id="out" if gateway else None,
        snat_enabled=True,
        host_id="",
        gateway=feet[0] if gateway else None,
        interfaces=feet,
    )


def test_routers_without_a_way_out_connect_networks_however_far_and_others_do_not():
    chain = [_router("r1", "a", "b"), _router("r2", "b", "c"), _router("r3", "c", "d", gateway=True)]
    assert connected(["a"], chain) == {"a", "b", "c"}
    assert connected(["d"], chain) == {"d"}
    assert connected([], chain) == set()
