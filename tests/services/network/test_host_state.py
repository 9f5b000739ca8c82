"""What hosts are told: through the real stream, put together as a host would."""

import asyncio
from contextlib import AsyncExitStack
from datetime import timedelta

from mesh import clock, ids
from services.network.store import egress, hosts
from services.network.tables import listeners
from tests.services.harness import until
from tests.services.network.conftest import Api, Cloud, HostAgent
from weft.network.v1 import resources_pb2 as pb


def remote(host: HostAgent, network_id: str) -> dict[str, str]:
    """VTEP by port that a host knows elsewhere."""
    if network_id not in host.networks:
        return {}
    return {port.port_id: port.vtep_address for port in host.networks[network_id].remote_ports}


async def test_a_host_without_ports_has_nothing_and_is_told_so(weft: Cloud, mine: Api):
    await mine.network_with_subnet()
    async with weft.host("192.0.2.1") as host:
        assert len(host.messages) == 1
        assert host.messages[0].complete
        assert [host.networks, host.ports, host.routers, host.groups] == [{}, {}, {}, {}]


async def test_a_host_gets_the_whole_network_of_its_port(weft: Cloud, mine: Api, compute: Api):
    network, subnet = await mine.network_with_subnet()
    async with weft.host("192.0.2.1") as host:
        port = await mine.bound_port(compute, network.id, host.id)
        await host.until(lambda: port.id in host.ports)
        got = host.networks[network.id]
        assert (got.type, got.mtu) == (pb.NETWORK_TYPE_VXLAN, 1450)
        assert got.segmentation_id == (await weft.system().GetNetwork(id=network.id)).segmentation_id
        dhcp = (await mine.ListPorts(device_owner="network:dhcp")).ports[0].fixed_ips[0].ip_address
        assert (got.subnets[0].id, got.subnets[0].dhcp_address) == (subnet.id, dhcp)
        assert (got.subnets[0].cidr, got.subnets[0].gateway_ip) == ("10.0.0.0/24", "10.0.0.1")
        assert host.ports[port.id].fixed_ips == port.fixed_ips
        assert not got.remote_ports
        assert [rule.direction for rule in host.groups[port.security_group_ids[0]].rules]


async def test_hosts_of_a_network_know_each_others_ports_and_where_they_are(
    weft: Cloud, mine: Api, theirs: Api, compute: Api
):
    network, _ = await mine.network_with_subnet()
    apart, _ = await theirs.network_with_subnet()
    async with weft.host("192.0.2.1") as one, weft.host("192.0.2.2") as two, weft.host("192.0.2.3") as far:
        here = await mine.bound_port(compute, network.id, one.id)
        there = await mine.bound_port(compute, network.id, two.id)
        alone = await theirs.bound_port(compute, apart.id, far.id)
        await one.until(lambda: remote(one, network.id) == {there.id: "192.0.2.2"})
        await two.until(lambda: remote(two, network.id) == {here.id: "192.0.2.1"})
        assert list(one.networks[network.id].vtep_addresses) == ["192.0.2.2"]
        await far.until(lambda: alone.id in far.ports)
        assert list(far.networks) == [apart.id]
        assert remote(far, apart.id) == {}
        await mine.DeletePort(id=there.id)
        await one.until(lambda: not remote(one, network.id))
        await two.until(lambda: not two.ports and not two.networks and not two.groups)
        assert two.messages[-1].removed_port_ids == [there.id]


async def test_a_host_that_moves_its_vtep_is_reached_there(weft: Cloud, mine: Api, compute: Api):
    network, _ = await mine.network_with_subnet()
    host_id = ids.new()
    async with weft.host("192.0.2.1") as one:
        here = await mine.bound_port(compute, network.id, one.id)
        async with weft.host("192.0.2.2", host_id=host_id):
            there = await mine.bound_port(compute, network.id, host_id)
            await one.until(lambda: remote(one, network.id) == {there.id: "192.0.2.2"})
        async with weft.host("192.0.2.9", host_id=host_id) as again:
            assert again.messages[0].complete
            assert remote(again, network.id) == {here.id: "192.0.2.1"}
            await one.until(lambda: remote(one, network.id) == {there.id: "192.0.2.9"})


async def test_changed_groups_raise_the_ports_revision_on_its_host_only(weft: Cloud, mine: Api, compute: Api):
    network, _ = await mine.network_with_subnet()
    group = await mine.CreateSecurityGroup(name="web")
    async with weft.host("192.0.2.1") as host, weft.host("192.0.2.2") as idle:
        port = await mine.bound_port(compute, network.id, host.id)
        await host.until(lambda: port.id in host.ports)
        before = host.ports[port.id].revision
        await host.report(port)
        await mine.UpdatePort(id=port.id, port=pb.Port(name="a name is not wired"))
        await mine.UpdatePort(id=port.id, port=pb.Port(security_group_ids=[group.id]))
        await host.until(lambda: list(host.ports[port.id].security_group_ids) == [group.id])
        assert host.ports[port.id].revision > before
        assert set(host.groups) == {group.id}
        rule = await mine.CreateSecurityGroupRule(
            security_group_id=group.id, direction=pb.DIRECTION_INGRESS, protocol="tcp"
        )
        await host.until(lambda: rule.id in {r.id for r in host.groups[group.id].rules})
        await mine.DeleteSecurityGroupRule(id=rule.id)
        await host.until(lambda: rule.id not in {r.id for r in host.groups[group.id].rules})
        assert len(idle.messages) == 1


async def test_status_and_names_of_ports_are_not_sent_to_hosts(weft: Cloud, mine: Api, compute: Api):
    network, _ = await mine.network_with_subnet()
    async with weft.host("192.0.2.1") as host:
        port = await mine.bound_port(compute, network.id, host.id)
        await host.until(lambda: port.id in host.ports)
        sent = len(host.messages)
        await host.report(port)
        await mine.UpdatePort(id=port.id, port=pb.Port(name="renamed"))
        down = {"port": pb.Port(), "update_mask": {"paths": ["admin_state_up"]}}
        await mine.UpdatePort(id=port.id, **down)
        await host.until(lambda: not host.ports[port.id].admin_state_up)
        assert len(host.messages) == sent + 1


async def test_members_of_a_remote_group_follow_its_ports_wherever_they_are(
    weft: Cloud, mine: Api, compute: Api
):
    network, _ = await mine.network_with_subnet()
    other, _ = await mine.network_with_subnet("10.1.0.0/24")
    web, peers = await mine.CreateSecurityGroup(name="web"), await mine.CreateSecurityGroup(name="peers")
    await mine.CreateSecurityGroupRule(
        security_group_id=web.id, direction=pb.DIRECTION_INGRESS, remote_group_id=peers.id
    )
    async with weft.host("192.0.2.1") as host:
        port = await mine.bound_port(compute, network.id, host.id, security_group_ids=[web.id])
        await host.until(lambda: port.id in host.ports)
        assert set(host.groups) == {web.id, peers.id}
        assert not host.groups[peers.id].rules
        peer = await mine.CreatePort(network_id=other.id, security_group_ids=[peers.id])
        address = peer.fixed_ips[0].ip_address
        await host.until(lambda: list(host.groups[peers.id].member_addresses) == [address])
        await mine.UpdatePort(id=peer.id, port=pb.Port(security_group_ids=[web.id]))
        await host.until(lambda: not host.groups[peers.id].member_addresses)
        await mine.UpdatePort(id=peer.id, port=pb.Port(security_group_ids=[peers.id]))
        await host.until(lambda: list(host.groups[peers.id].member_addresses) == [address])
        await mine.DeletePort(id=peer.id)
        await host.until(lambda: not host.groups[peers.id].member_addresses)


async def test_a_router_without_a_way_out_is_on_every_host_of_its_networks(
    weft: Cloud, mine: Api, compute: Api
):
    (red, red_subnet), (blue, blue_subnet) = [
        await mine.network_with_subnet(cidr) for cidr in ("10.0.0.0/24", "10.1.0.0/24")
    ]
    router = await mine.CreateRouter(name="r")
    async with weft.host("192.0.2.1") as one, weft.host("192.0.2.2") as two, weft.host("192.0.2.3") as far:
        in_red = await mine.bound_port(compute, red.id, one.id)
        in_blue = await mine.bound_port(compute, blue.id, two.id)
        for subnet in (red_subnet, blue_subnet):
            await mine.AddRouterInterface(id=router.id, subnet_id=subnet.id)
        for host in (one, two):
            await host.until(lambda host=host: len(host.routers.get(router.id, pb.Router()).interfaces) == 2)
            await host.until(lambda host=host: set(host.networks) == {red.id, blue.id})
            feet = {foot.address: foot.mac_address for foot in host.routers[router.id].interfaces}
            assert set(feet) == {"10.0.0.1/24", "10.1.0.1/24"}
            assert not host.routers[router.id].HasField("external")
        assert one.routers == two.routers  # the same MAC on every host
        await one.until(lambda: remote(one, blue.id) == {in_blue.id: "192.0.2.2"})
        await two.until(lambda: remote(two, red.id) == {in_red.id: "192.0.2.1"})
        assert list(one.networks[blue.id].vtep_addresses) == ["192.0.2.2"]
        assert len(far.messages) == 1
        await mine.RemoveRouterInterface(id=router.id, subnet_id=blue_subnet.id)
        await one.until(lambda: set(one.networks) == {red.id})
        await two.until(lambda: set(two.networks) == {blue.id} and not two.routers)


async def test_a_router_with_a_way_out_is_on_its_egress_host_and_a_remote_port_elsewhere(
    weft: Cloud, mine: Api, compute: Api
):
    external = await weft.external_network()
    outside = ((await weft.system().GetNetwork(id=external.id)).physical_network,)
    network, subnet = await mine.network_with_subnet()
    async with weft.host("192.0.2.1", outside) as exit, weft.host("192.0.2.2") as inner:
        port = await mine.bound_port(compute, network.id, inner.id)
        router = await mine.CreateRouter(name="r", gateway=pb.ExternalGateway(network_id=external.id))
        router = await mine.AddRouterInterface(id=router.id, subnet_id=subnet.id)
        foot = router.interfaces[0].port_id
        await inner.until(lambda: remote(inner, network.id) == {foot: "192.0.2.1"})
        assert not inner.routers
        assert external.id not in inner.networks
        assert list(inner.networks[network.id].vtep_addresses) == ["192.0.2.1"]
        await exit.until(lambda: router.id in exit.routers and network.id in exit.networks)
        await exit.until(lambda: remote(exit, network.id) == {port.id: "192.0.2.2"})
        got = exit.routers[router.id]
        assert got.external.address == f"{router.gateway.ip_address}/24"
        assert (got.external_gateway_ip, got.snat_enabled) == ("203.0.113.1", True)
        assert exit.networks[external.id].physical_network == outside[0]
        assert (await weft.system().GetRouter(id=router.id)).host_id == exit.id
        assert (await mine.GetRouter(id=router.id)).host_id == ""
        made = await mine.CreateFloatingIp(network_id=external.id, port_id=port.id)
        await exit.until(lambda: len(exit.routers[router.id].floating_ips) == 1)
        assert exit.routers[router.id].floating_ips[0].address == made.address
        assert exit.routers[router.id].floating_ips[0].fixed_ip == port.fixed_ips[0].ip_address
        await inner.until(lambda: list(inner.ports[port.id].floating_ips) == [made.address])
        mask = {"paths": ["port_id"]}
        await mine.UpdateFloatingIp(id=made.id, floating_ip=pb.FloatingIp(), update_mask=mask)
        await exit.until(lambda: not exit.routers[router.id].floating_ips)
        chosen = pb.ExternalGateway(network_id=external.id, ip_address="203.0.113.200")
        await weft.system().SetRouterGateway(id=router.id, gateway=chosen)
        await exit.until(lambda: exit.routers[router.id].external.address == "203.0.113.200/24")
        await inner.until(lambda: not inner.ports[port.id].floating_ips)
        await mine.ClearRouterGateway(id=router.id)
        await inner.until(lambda: router.id in inner.routers and not remote(inner, network.id))
        await exit.until(lambda: not exit.routers and not exit.networks)


async def test_a_router_follows_its_ports_when_all_are_on_one_host(weft: Cloud, mine: Api, compute: Api):
    external = await weft.external_network()
    system = weft.system()
    outside = ((await system.GetNetwork(id=external.id)).physical_network,)
    network, subnet = await mine.network_with_subnet()
    async with weft.host("192.0.2.1", outside) as one, weft.host("192.0.2.2", outside) as two:
        router = await mine.CreateRouter(name="r", gateway=pb.ExternalGateway(network_id=external.id))
        await mine.AddRouterInterface(id=router.id, subnet_id=subnet.id)
        first = (await system.GetRouter(id=router.id)).host_id
        here, there = (two, one) if first == one.id else (one, two)
        port = await mine.bound_port(compute, network.id, here.id)
        assert (await system.GetRouter(id=router.id)).host_id == here.id
        await mine.bound_port(compute, network.id, there.id)
        assert (await system.GetRouter(id=router.id)).host_id == here.id
        assert port.fixed_ips


async def test_a_router_waits_for_a_host_and_leaves_one_that_stays_away(weft: Cloud, mine: Api):
    external = await weft.external_network()
    system, database = weft.system(), weft.house.runtimes["network"].database
    outside = ((await system.GetNetwork(id=external.id)).physical_network,)
    router = await mine.CreateRouter(name="r", gateway=pb.ExternalGateway(network_id=external.id))
    assert (await system.GetRouter(id=router.id)).host_id == ""
    async with weft.host("192.0.2.1", outside) as first:
        await first.until(lambda: router.id in first.routers)
        assert await database.read(egress.stranded, homeless_only=False) == []
    async with weft.host("192.0.2.2", outside) as second:
        assert await database.read(egress.stranded, homeless_only=False) == []
        later = clock.now() + hosts.AWAY_AFTER + timedelta(seconds=1)
        with clock.told_by(lambda: later):
            await database.write(hosts.beat, await _listener(weft))
            stranded = await database.read(egress.stranded, homeless_only=False)
            assert stranded == [router.id]
            assert await database.write(egress.move, stranded) == 1
        await second.until(lambda: router.id in second.routers)
        assert (await system.GetRouter(id=router.id)).host_id == second.id


async def test_a_router_leaves_a_host_that_lost_the_external_network(weft: Cloud, mine: Api):
    external = await weft.external_network()
    system = weft.system()
    outside = ((await system.GetNetwork(id=external.id)).physical_network,)
    router = await mine.CreateRouter(name="r", gateway=pb.ExternalGateway(network_id=external.id))
    host_id = ids.new()
    async with weft.host("192.0.2.1", outside, host_id=host_id) as first:
        await first.until(lambda: router.id in first.routers)
    async with weft.host("192.0.2.2", outside) as second:
        # Away for a moment only: the router stays, whatever else happens to it.
        await mine.UpdateRouter(id=router.id, router=pb.Router(name="renamed"))
        _, subnet = await mine.network_with_subnet()
        await mine.AddRouterInterface(id=router.id, subnet_id=subnet.id)
        assert (await system.GetRouter(id=router.id)).host_id == host_id
        async with weft.host("192.0.2.1", host_id=host_id) as again:
            await second.until(lambda: router.id in second.routers)
            await again.until(lambda: router.id not in again.routers)


async def _listener(weft: Cloud) -> str:
    database = weft.house.runtimes["network"].database
    return await database.read(lambda connection: connection.scalar(listeners.select()))


async def test_many_changes_reach_a_host_as_few_messages_and_end_in_the_same_state(
    weft_on_both: Cloud,
):
    weft, mine, compute = weft_on_both, weft_on_both.project(), weft_on_both.compute()
    network, _ = await mine.network_with_subnet()
    async with weft.host("192.0.2.1") as one, weft.host("192.0.2.2") as two:
        await mine.bound_port(compute, network.id, one.id)
        await one.until(lambda: len(one.ports) == 1)
        made = await asyncio.gather(*(mine.bound_port(compute, network.id, two.id) for _ in range(30)))
        await asyncio.gather(*(mine.DeletePort(id=port.id) for port in made[::2]))
        left = {port.id for port in made[1::2]}
        await one.until(lambda: set(remote(one, network.id)) == left)
        await two.until(lambda: set(two.ports) == left)
        revisions = [state.revision for state in one.messages]
        assert revisions == sorted(revisions)
        # Two may be of one revision: what was heard first of it, and what was heard of it then.
        parts = [state.SerializeToString() for state in one.messages]
        assert len(set(parts)) == len(parts)
        async with weft.host("192.0.2.1", host_id=one.id) as anew:
            assert anew.networks == one.networks
            assert anew.ports == one.ports
            assert anew.groups == one.groups


async def test_a_host_hears_of_changes_made_through_another_replica(replicas: tuple[Cloud, Cloud]):
    here, there = replicas
    mine = there.project()
    network, _ = await mine.network_with_subnet()
    async with here.host("192.0.2.1") as one, there.host("192.0.2.2") as two:
        near = await mine.bound_port(there.compute(), network.id, two.id)
        port = await mine.bound_port(there.compute(), network.id, one.id)
        await one.until(lambda: port.id in one.ports)
        await two.until(lambda: remote(two, network.id) == {port.id: "192.0.2.1"})
        await mine.DeletePort(id=near.id)
        await one.until(lambda: remote(one, network.id) == {})


async def test_a_host_that_has_another_stream_already_is_there_when_the_old_one_ends(weft: Cloud, mine: Api):
    external = await weft.external_network()
    system = weft.system()
    outside = ((await system.GetNetwork(id=external.id)).physical_network,)
    host_id = ids.new()
    way_out = pb.ExternalGateway(network_id=external.id)
    async with AsyncExitStack() as later:
        async with weft.host("192.0.2.1", outside, host_id=host_id):
            await later.enter_async_context(weft.host("192.0.2.1", outside, host_id=host_id))
        first = await mine.CreateRouter(name="r", gateway=way_out)
        assert (await system.GetRouter(id=first.id)).host_id == host_id

    async def gone() -> bool:
        second = await mine.CreateRouter(name="r", gateway=way_out)
        return (await system.GetRouter(id=second.id)).host_id == ""

    await until(gone)


async def test_an_external_network_may_be_a_vxlan_one(weft: Cloud, mine: Api):
    admin = weft.project("admin")
    external, _ = await admin.network_with_subnet("198.51.100.0/24", external=True)
    async with weft.host() as without, weft.host("192.0.2.1") as exit:
        router = await mine.CreateRouter(name="r", gateway=pb.ExternalGateway(network_id=external.id))
        await exit.until(lambda: router.id in exit.routers)
        assert len(without.messages) == 1
