"""Changes of single ports are told by themselves, and add up to what reading everything would say."""

import random
from dataclasses import replace
from typing import Any

import pytest

from mesh import clock, ids
from mesh.watch import Event
from services.network import host_state
from services.network.model import FixedIp, Port
from services.network.port_news import News, PortNews
from services.network.small_changes import Few, Picture
from services.network.store import topology
from tests.services.network.conftest import Api, Cloud, HostAgent
from weft.network.v1 import host_state_pb2 as host_pb
from weft.network.v1 import resources_pb2 as pb


class Walk:
    """Random things that people, compute and hosts do to ports."""

    def __init__(self, seed: int, people: list[Api], compute: Api, hosts: list[HostAgent]) -> None:
        self._chance = random.Random(seed)
        self._people, self._compute, self._hosts = people, compute, hosts
        self._networks: dict[Api, list[str]] = {}
        self._groups: dict[Api, list[str]] = {}
        self._ports: list[tuple[Api, Any]] = []

    async def prepare(self) -> None:
        """Two networks and a group besides `default` for each of the people."""
        for someone in self._people:
            made = [await someone.network_with_subnet(f"10.{n}.0.0/24") for n in range(2)]
            self._networks[someone] = [network.id for network, _ in made]
            self._groups[someone] = [(await someone.CreateSecurityGroup(name="web")).id]

    async def step(self) -> None:
        """One of them."""
        acts = [self.create, self.create, self.bind, self.bind, self.report, self.change, self.delete]
        await self._chance.choice(acts if len(self._ports) > 2 else acts[:2])()

    async def create(self) -> None:
        owner = self._chance.choice(self._people)
        port = await owner.CreatePort(network_id=self._chance.choice(self._networks[owner]))
        self._ports.append((owner, port))

    async def bind(self) -> None:
        owner, port = self._chance.choice(self._ports)
        if (await owner.GetPort(id=port.id)).device_id:
            await self._compute.UnbindPort(id=port.id)
        else:
            host = self._chance.choice(self._hosts)
            await self._compute.BindPort(id=port.id, host_id=host.id, device_id=ids.new())

    async def report(self) -> None:
        for host in self._hosts:
            for port in list(host.ports.values())[:2]:
                await host.report(port, revision=port.revision)  # it may be gone by now

    async def change(self) -> None:
        owner, port = self._chance.choice(self._ports)
        groups = self._groups[owner] + list(port.security_group_ids)
        new = pb.Port(security_group_ids=self._chance.sample(groups, self._chance.randint(1, 2)))
        await owner.UpdatePort(id=port.id, port=self._chance.choice([new, pb.Port(name="another")]))

    async def delete(self) -> None:
        owner, port = self._ports.pop(self._chance.randrange(len(self._ports)))
        await owner.DeletePort(id=port.id)


@pytest.mark.parametrize("seed", range(3))
async def test_whatever_happens_to_ports_hosts_are_told_what_reading_everything_says(weft: Cloud, seed: int):
    database = weft.house.runtimes["network"].database
    async with weft.host("192.0.2.1") as one, weft.host("192.0.2.2") as two:
        walk = Walk(seed, [weft.project(), weft.project()], weft.compute(), [one, two])
        await walk.prepare()
        for _ in range(60):
            await walk.step()
        for host in (one, two):
            wanted = host_state.of(await database.read(topology.load, {host.id}), host.id)
            parts = (wanted.networks, wanted.ports, wanted.routers, wanted.security_groups)
            expected = [{item.id: item for item in part} for part in parts]
            told = [host.networks, host.ports, host.routers, host.groups]
            await host.until(lambda expected=expected, told=told: told == expected, seconds=60)


def _port(id: str, host_id: str = "here", network: str = "n", groups: tuple[str, ...] = ("g",)) -> Port:
    now = clock.now()
    return Port(
        id=id, project_id="p", created_at=now, updated_at=now, name="", network_id=network, mac_address="",
        port_security_enabled=True, allowed_address_pairs=[], status="ACTIVE", admin_state_up=True,
        device_owner="compute", device_id="s", host_id=host_id, wire_revision=1, tags=[],
        fixed_ips=(FixedIp("subnet", "10.0.0.9"),), security_group_ids=groups,
    )  # fmt: skip


def _picture() -> Picture:
    """A host with two ports on one network, in one group that names itself as remote."""
    state = host_pb.HostState(networks=[host_pb.HostNetwork(id="n")])
    state.ports.extend(host_state.port_of(_port(id), ()) for id in ("a", "b"))
    state.security_groups.add(id="g").rules.add(id="r", remote_group_id="g")
    return Picture(state)


def _news(id: str, host_id: str = "here", *groups: str) -> News:
    return News(id, host_id, frozenset(groups))


def test_a_port_beside_others_is_told_alone():
    few = Few(7, ports={"c": _port("c")}, members={"g": ["10.0.0.9"]})
    state = _picture().after([_news("c", "here", "g")], few, "here")
    assert state is not None
    assert [port.id for port in state.ports] == ["c"]
    assert [list(group.member_addresses) for group in state.security_groups] == [["10.0.0.9"]]
    state = _picture().after([_news("b")], Few(8), "here")
    assert state is not None
    assert list(state.removed_port_ids) == ["b"]


@pytest.mark.parametrize("port", [_port("c", network="m"), _port("c", groups=("g", "h")), _port("c", "far")])
def test_a_port_that_brings_a_network_or_a_group_or_is_elsewhere_needs_a_whole_look(port: Port):
    assert _picture().after([_news("c")], Few(7, ports={"c": port}), "here") is None


def test_a_port_that_a_floating_ip_leads_to_needs_a_whole_look():
    few = Few(7, ports={"c": _port("c")})
    assert _picture().after([_news("c")], replace(few, reached=frozenset("c")), "here") is None
    assert _picture().after([_news("c")], few, "here") is not None


def test_the_last_port_of_a_network_that_goes_needs_a_whole_look():
    assert _picture().after([_news("a"), _news("b")], Few(7), "here") is None


def _event(type: str, **port: Any) -> Event:
    message = pb.Port(id="port", network_id="n", security_group_ids=["g"], **port)
    return Event(1, type, "port", "port", "p", message.SerializeToString())


def test_what_a_host_itself_has_said_is_no_news_to_hosts():
    reader, bound = PortNews(), {"host_id": "here", "device_id": "s"}
    assert reader.of(_event("CREATED")) == _news("port", "", "g")
    assert reader.of(_event("UPDATED", **bound)) == _news("port", "here")
    assert reader.of(_event("UPDATED", **bound, status=pb.PORT_STATUS_ACTIVE)) is None
    assert reader.of(_event("UPDATED", **bound, status=pb.PORT_STATUS_ACTIVE)) == _news("port", "here")
    assert reader.of(_event("DELETED", **bound)) == _news("port", "here", "g")


def test_a_port_that_left_a_host_or_may_have_is_more_than_a_small_change():
    reader, bound = PortNews(), {"host_id": "here", "device_id": "s"}
    assert reader.of(_event("UPDATED")).far  # where it was before, nobody remembers
    assert not reader.of(_event("UPDATED", **bound)).far
    assert reader.of(_event("UPDATED")).far
    assert reader.of(_event("UPDATED", device_owner="network:dhcp")).far
