"""Routers and floating IPs, as their users see them."""

import asyncio

import pytest

from mesh import ids
from tests.services.network.conftest import Api, Cloud, refused
from weft.network.v1 import resources_pb2 as pb


async def test_a_router_connects_a_subnet_at_its_gateway(mine: Api):
    network, subnet = await mine.network_with_subnet()
    router = await mine.CreateRouter(name="r")
    connected = await mine.AddRouterInterface(id=router.id, subnet_id=subnet.id)
    interface = connected.interfaces[0]
    assert (interface.subnet_id, interface.ip_address) == (subnet.id, "10.0.0.1")
    port = await mine.GetPort(id=interface.port_id)
    assert (port.device_owner, port.device_id) == ("network:router_interface", router.id)
    same = pb.Port(fixed_ips=[pb.FixedIp(subnet_id=subnet.id)])
    assert (await mine.UpdatePort(id=port.id, port=same)).fixed_ips == port.fixed_ips
    other = pb.Port(fixed_ips=[pb.FixedIp(subnet_id=subnet.id, ip_address="10.0.0.9")])
    await refused(mine.UpdatePort(id=port.id, port=other), "IN_USE")
    await refused(mine.DeletePort(id=port.id), "IN_USE")
    await refused(mine.DeleteSubnet(id=subnet.id), "IN_USE")
    await refused(mine.DeleteRouter(id=router.id), "IN_USE")
    await refused(mine.AddRouterInterface(id=router.id, subnet_id=subnet.id), "CIDR_OVERLAP")
    other = await mine.CreateRouter(name="other")
    await refused(mine.AddRouterInterface(id=other.id, subnet_id=subnet.id), "ADDRESS_IN_USE")
    freed = await mine.RemoveRouterInterface(id=router.id, subnet_id=subnet.id)
    assert not freed.interfaces
    await mine.DeleteRouter(id=router.id)
    await mine.DeleteNetwork(id=network.id)


async def test_a_second_router_joins_by_a_port_of_its_own(mine: Api):
    network, _ = await mine.network_with_subnet()
    router = await mine.CreateRouter(name="r")
    port = await mine.CreatePort(network_id=network.id)
    connected = await mine.AddRouterInterface(id=router.id, port_id=port.id)
    assert connected.interfaces[0].ip_address == port.fixed_ips[0].ip_address
    await refused(mine.AddRouterInterface(id=router.id, port_id=port.id), "IN_USE")
    await refused(mine.AddRouterInterface(id=router.id), "INVALID_ARGUMENT")
    await refused(mine.RemoveRouterInterface(id=router.id, port_id=ids.new()), "NOT_FOUND")
    await mine.RemoveRouterInterface(id=router.id, port_id=port.id)


async def test_a_router_refuses_subnets_that_overlap(mine: Api):
    _, first = await mine.network_with_subnet("10.0.0.0/16")
    _, second = await mine.network_with_subnet("10.0.7.0/24")
    router = await mine.CreateRouter(name="r")
    await mine.AddRouterInterface(id=router.id, subnet_id=first.id)
    error = await refused(mine.AddRouterInterface(id=router.id, subnet_id=second.id), "CIDR_OVERLAP")
    assert error.metadata == {
        "cidr": "10.0.7.0/24",
        "subnet_id": second.id,
        "other_cidr": "10.0.0.0/16",
    }


async def test_of_many_interfaces_that_overlap_made_at_once_one_stands(weft_on_both: Cloud):
    mine = weft_on_both.project()
    subnets = [(await mine.network_with_subnet("10.0.0.0/24"))[1] for _ in range(6)]
    router = await mine.CreateRouter(name="r")
    await asyncio.gather(
        *(mine.AddRouterInterface(id=router.id, subnet_id=subnet.id) for subnet in subnets),
        return_exceptions=True,
    )
    assert len((await mine.GetRouter(id=router.id)).interfaces) == 1


async def test_another_projects_router_and_subnet_are_not_there(mine: Api, theirs: Api):
    _, subnet = await mine.network_with_subnet()
    router = await mine.CreateRouter(name="r")
    own = await theirs.CreateRouter(name="theirs")
    for call in (
        theirs.GetRouter(id=router.id),
        theirs.UpdateRouter(id=router.id, router=pb.Router(name="x")),
        theirs.AddRouterInterface(id=router.id, subnet_id=subnet.id),
        theirs.AddRouterInterface(id=own.id, subnet_id=subnet.id),
        theirs.ClearRouterGateway(id=router.id),
        theirs.DeleteRouter(id=router.id),
    ):
        await refused(call, "NOT_FOUND")


async def test_nobody_takes_the_gateway_of_a_shared_network_but_its_project(weft: Cloud, theirs: Api):
    admin = weft.project("admin")
    network, subnet = await admin.network_with_subnet(shared=True)
    router = await theirs.CreateRouter(name="r")
    await refused(theirs.AddRouterInterface(id=router.id, subnet_id=subnet.id), "PERMISSION_DENIED")
    port = await theirs.CreatePort(network_id=network.id)
    assert (await theirs.AddRouterInterface(id=router.id, port_id=port.id)).interfaces


async def test_a_way_out_is_set_changed_and_taken(weft: Cloud, mine: Api):
    external = await weft.external_network()
    inside, _ = await mine.network_with_subnet()
    router = await mine.CreateRouter(name="r")
    await refused(
        mine.SetRouterGateway(id=router.id, gateway=pb.ExternalGateway(network_id=inside.id)),
        "INVALID_ARGUMENT",
    )
    way_out = pb.ExternalGateway(network_id=external.id)
    out = await mine.SetRouterGateway(id=router.id, gateway=way_out)
    assert out.gateway.snat_enabled
    assert out.gateway.ip_address.startswith("203.0.113.")
    way_out.snat_enabled = False
    again = await mine.SetRouterGateway(id=router.id, gateway=way_out)
    assert (again.gateway.port_id, again.gateway.snat_enabled) == (out.gateway.port_id, False)
    await refused(mine.DeletePort(id=out.gateway.port_id), "IN_USE")
    assert not (await mine.ClearRouterGateway(id=router.id)).HasField("gateway")
    assert not (await mine.ClearRouterGateway(id=router.id)).HasField("gateway")
    set_again = await mine.UpdateRouter(id=router.id, router=pb.Router(gateway=way_out))
    assert set_again.gateway.network_id == external.id
    cleared = await mine.UpdateRouter(id=router.id, router=pb.Router(), update_mask={"paths": ["gateway"]})
    assert not cleared.HasField("gateway")
    made = await mine.CreateRouter(name="at once", gateway=way_out)
    await mine.DeleteRouter(id=made.id)
    assert not (await weft.system().ListPorts(device_owner="network:router_gateway")).ports


async def test_administrators_choose_a_routers_address_outside(weft: Cloud, mine: Api):
    admin, system = weft.project("admin"), weft.system()
    external = await weft.external_network(owner=admin)
    router = await mine.CreateRouter(name="r", gateway=pb.ExternalGateway(network_id=external.id))
    first = router.gateway.subnet_id
    other = await admin.CreateSubnet(network_id=external.id, cidr="198.51.100.0/24")
    chosen = pb.ExternalGateway(network_id=external.id, subnet_id=other.id, ip_address="198.51.100.77")
    await refused(mine.SetRouterGateway(id=router.id, gateway=chosen), "PERMISSION_DENIED")
    await refused(mine.CreateRouter(name="n", gateway=chosen), "PERMISSION_DENIED")
    moved = (await system.SetRouterGateway(id=router.id, gateway=chosen)).gateway
    assert (moved.ip_address, moved.subnet_id) == ("198.51.100.77", other.id)
    assert moved.port_id == router.gateway.port_id
    (held,) = (await system.GetPort(id=moved.port_id)).fixed_ips
    assert (held.ip_address, held.subnet_id) == ("198.51.100.77", other.id)
    same = await mine.UpdateRouter(id=router.id, router=pb.Router(gateway=moved))
    assert same.gateway == moved
    anywhere = pb.ExternalGateway(network_id=external.id)
    assert (await mine.SetRouterGateway(id=router.id, gateway=anywhere)).gateway == moved
    await refused(admin.CreateRouter(name="n", gateway=chosen), "ADDRESS_IN_USE")
    for subnet_id, address, reason in (
        (first, "198.51.100.78", "ADDRESS_OUT_OF_RANGE"),
        ("", "192.0.2.1", "ADDRESS_OUT_OF_RANGE"),
        ("", "no address", "INVALID_ARGUMENT"),
        (ids.new(), "", "NOT_FOUND"),
    ):
        wanted = pb.ExternalGateway(network_id=external.id, subnet_id=subnet_id, ip_address=address)
        await refused(system.SetRouterGateway(id=router.id, gateway=wanted), reason)
    assert (await mine.GetRouter(id=router.id)).gateway == moved


async def test_a_router_keeps_its_floating_ips_when_it_gets_another_address(weft: Cloud, mine: Api):
    external = await weft.external_network()
    network, subnet = await mine.network_with_subnet()
    router = await mine.CreateRouter(name="r", gateway=pb.ExternalGateway(network_id=external.id))
    await mine.AddRouterInterface(id=router.id, subnet_id=subnet.id)
    port = await mine.CreatePort(network_id=network.id)
    floating = await mine.CreateFloatingIp(network_id=external.id, port_id=port.id)
    taken = {router.gateway.ip_address, floating.address}  # by chance
    free = next(
        address for address in (f"203.0.113.{last}" for last in (200, 201, 202)) if address not in taken
    )
    chosen = pb.ExternalGateway(network_id=external.id, ip_address=free)
    moved = await weft.system().SetRouterGateway(id=router.id, gateway=chosen)
    assert moved.gateway.ip_address == free
    assert (await mine.GetFloatingIp(id=floating.id)).router_id == router.id


async def test_a_static_route_goes_by_a_connected_subnet(mine: Api):
    _, subnet = await mine.network_with_subnet()
    router = await mine.CreateRouter(name="r")
    await mine.AddRouterInterface(id=router.id, subnet_id=subnet.id)

    def route(next_hop: str):
        routes = [pb.HostRoute(destination="10.8.0.0/16", next_hop=next_hop)]
        return mine.UpdateRouter(id=router.id, router=pb.Router(routes=routes))

    await refused(route("10.1.0.7"), "INVALID_ARGUMENT")
    await refused(route("fd00::1"), "INVALID_ARGUMENT")
    assert [r.next_hop for r in (await route("10.0.0.7")).routes] == ["10.0.0.7"]
    await refused(mine.RemoveRouterInterface(id=router.id, subnet_id=subnet.id), "IN_USE")
    await mine.UpdateRouter(id=router.id, router=pb.Router(), update_mask={"paths": ["routes"]})
    await mine.RemoveRouterInterface(id=router.id, subnet_id=subnet.id)


@pytest.fixture
async def reachable(weft: Cloud, mine: Api) -> tuple[pb.Network, pb.Router, pb.Port]:
    """An external network, a router that goes out by it, and a port behind."""
    external = await weft.external_network()
    network, subnet = await mine.network_with_subnet()
    gateway = pb.ExternalGateway(network_id=external.id)
    router = await mine.CreateRouter(name="r", gateway=gateway)
    router = await mine.AddRouterInterface(id=router.id, subnet_id=subnet.id)
    return external, router, await mine.CreatePort(network_id=network.id)


async def test_a_floating_ip_leads_to_a_port_and_then_nowhere(weft: Cloud, mine: Api, reachable: tuple):
    external, router, port = reachable
    made = await mine.CreateFloatingIp(network_id=external.id)
    assert (made.status, made.port_id) == (pb.FLOATING_IP_STATUS_DOWN, "")
    led = await mine.UpdateFloatingIp(id=made.id, floating_ip=pb.FloatingIp(port_id=port.id))
    assert (led.status, led.router_id) == (pb.FLOATING_IP_STATUS_ACTIVE, router.id)
    assert led.fixed_ip == port.fixed_ips[0].ip_address
    holder = (await mine.ListPorts(device_owner="network:floatingip")).ports[0]
    assert (holder.device_id, holder.fixed_ips[0].ip_address) == (made.id, made.address)
    await refused(mine.DeletePort(id=holder.id), "IN_USE")
    await refused(mine.ClearRouterGateway(id=router.id), "IN_USE")
    await refused(mine.RemoveRouterInterface(id=router.id, subnet_id=port.fixed_ips[0].subnet_id), "IN_USE")
    second = mine.CreateFloatingIp(network_id=external.id, port_id=port.id)
    await refused(second, "ADDRESS_IN_USE")
    moved = mine.UpdatePort(id=port.id, port=pb.Port(), update_mask={"paths": ["fixed_ips"]})
    await refused(moved, "IN_USE")
    mask = {"paths": ["port_id"]}
    free = await mine.UpdateFloatingIp(id=made.id, floating_ip=pb.FloatingIp(), update_mask=mask)
    assert (free.status, free.fixed_ip, free.router_id) == (pb.FLOATING_IP_STATUS_DOWN, "", "")
    await mine.DeleteFloatingIp(id=made.id)
    assert not (await mine.ListPorts(device_owner="network:floatingip")).ports


async def test_a_port_that_goes_frees_its_floating_ip(mine: Api, reachable: tuple):
    external, _, port = reachable
    made = await mine.CreateFloatingIp(network_id=external.id, port_id=port.id)
    await mine.DeletePort(id=port.id)
    left = await mine.GetFloatingIp(id=made.id)
    assert (left.status, left.port_id, left.address) == (pb.FLOATING_IP_STATUS_DOWN, "", made.address)


async def test_a_floating_ip_needs_a_router_between(weft: Cloud, mine: Api, reachable: tuple):
    external, _, _ = reachable
    apart, _ = await mine.network_with_subnet("10.7.0.0/24")
    port = await mine.CreatePort(network_id=apart.id)
    await refused(mine.CreateFloatingIp(network_id=external.id, port_id=port.id), "NOT_FOUND")
    await refused(mine.CreateFloatingIp(network_id=apart.id), "INVALID_ARGUMENT")
    assert not (await mine.ListFloatingIps()).floating_ips


async def test_only_administrators_choose_a_floating_address(weft: Cloud, mine: Api):
    external = await weft.external_network()
    wish = {"network_id": external.id, "address": "203.0.113.77"}
    await refused(mine.CreateFloatingIp(**wish), "PERMISSION_DENIED")
    admin = weft.project("admin")
    assert (await admin.CreateFloatingIp(**wish)).address == "203.0.113.77"
    await refused(admin.CreateFloatingIp(**wish), "ADDRESS_IN_USE")


async def test_floating_ips_are_private_and_limited(weft: Cloud, mine: Api, theirs: Api, reachable: tuple):
    external, _, port = reachable
    weft.house.limits.limits.update(floating_ips=1)
    made = await mine.CreateFloatingIp(network_id=external.id)
    await refused(theirs.GetFloatingIp(id=made.id), "NOT_FOUND")
    await refused(theirs.DeleteFloatingIp(id=made.id), "NOT_FOUND")
    await refused(theirs.CreateFloatingIp(network_id=external.id, port_id=port.id), "NOT_FOUND")
    assert (await theirs.CreateFloatingIp(network_id=external.id)).address != made.address
    await refused(theirs.CreateFloatingIp(network_id=external.id), "QUOTA_EXCEEDED")


async def test_of_twenty_floating_ips_to_one_port_at_once_one_leads_there(weft_on_both: Cloud):
    mine = weft_on_both.project()
    external = await weft_on_both.external_network()
    network, subnet = await mine.network_with_subnet()
    gateway = pb.ExternalGateway(network_id=external.id)
    router = await mine.CreateRouter(name="r", gateway=gateway)
    await mine.AddRouterInterface(id=router.id, subnet_id=subnet.id)
    port = await mine.CreatePort(network_id=network.id)
    answers = await asyncio.gather(
        *(mine.CreateFloatingIp(network_id=external.id, port_id=port.id) for _ in range(20)),
        return_exceptions=True,
    )
    reasons = sorted("" if isinstance(a, pb.FloatingIp) else a.reason for a in answers)
    assert reasons == ["", *["ADDRESS_IN_USE"] * 19]
    assert len((await mine.ListFloatingIps()).floating_ips) == 1
