"""Networks and subnets, as their users see them."""

import asyncio

from mesh import ids
from tests.services.harness import until
from tests.services.network.conftest import Api, Cloud, refused
from weft.network.v1 import resources_pb2 as pb


async def test_a_network_is_made_read_changed_and_deleted(mine: Api):
    made = await mine.CreateNetwork(name="blue", tags=["a"])
    assert (made.type, made.mtu, made.segmentation_id) == (pb.NETWORK_TYPE_VXLAN, 1450, 0)
    assert await mine.GetNetwork(id=made.id) == made
    changed = await mine.UpdateNetwork(
        id=made.id, network=pb.Network(name="green"), expected_revision=made.revision
    )
    assert (changed.name, changed.tags, changed.revision) == ("green", ["a"], made.revision + 1)
    late = mine.UpdateNetwork(id=made.id, network=pb.Network(name="x"), expected_revision=1)
    await refused(late, "REVISION_MISMATCH")
    await mine.DeleteNetwork(id=made.id)
    await refused(mine.GetNetwork(id=made.id), "NOT_FOUND")
    await refused(mine.DeleteNetwork(id=made.id), "NOT_FOUND")
    await mine.DeleteNetwork(id=made.id, allow_missing=True)


async def test_only_administrators_see_segments_and_make_what_is_for_all(weft: Cloud, mine: Api):
    made = await mine.CreateNetwork(name="a")
    assert (await weft.system().GetNetwork(id=made.id)).segmentation_id > 0
    flat = {"type": pb.NETWORK_TYPE_FLAT, "physical_network": "up"}
    for fields in (flat, {"shared": True}, {"external": True}):
        await refused(mine.CreateNetwork(**fields), "PERMISSION_DENIED")
    admin = weft.project("admin")
    await admin.CreateNetwork(external=True, **flat)
    await refused(admin.CreateNetwork(**flat), "ALREADY_EXISTS")
    await refused(weft.system().CreateNetwork(name="whose"), "INVALID_ARGUMENT")


async def test_another_projects_network_is_not_there(mine: Api, theirs: Api):
    network, subnet = await mine.network_with_subnet()
    for call in (
        theirs.GetNetwork(id=network.id),
        theirs.GetSubnet(id=subnet.id),
        theirs.UpdateNetwork(id=network.id, network=pb.Network(name="x")),
        theirs.UpdateSubnet(id=subnet.id, subnet=pb.Subnet(name="x")),
        theirs.DeleteNetwork(id=network.id),
        theirs.DeleteSubnet(id=subnet.id),
        theirs.CreateSubnet(network_id=network.id, cidr="10.9.0.0/24"),
        theirs.CreatePort(network_id=network.id),
    ):
        await refused(call, "NOT_FOUND")
    assert not (await theirs.ListNetworks()).networks
    assert not (await theirs.ListSubnets(network_id=network.id)).subnets
    assert [n.id for n in (await mine.ListNetworks()).networks] == [network.id]


async def test_a_shared_network_is_used_by_all_and_changed_by_its_own_project(weft: Cloud, theirs: Api):
    admin = weft.project("admin")
    network, subnet = await admin.network_with_subnet(shared=True)
    assert [n.id for n in (await theirs.ListNetworks(shared=True)).networks] == [network.id]
    port = await theirs.CreatePort(network_id=network.id)
    assert port.fixed_ips
    for call in (
        theirs.UpdateNetwork(id=network.id, network=pb.Network(name="x")),
        theirs.DeleteNetwork(id=network.id),
        theirs.UpdateSubnet(id=subnet.id, subnet=pb.Subnet(name="x")),
        theirs.DeleteSubnet(id=subnet.id),
        theirs.CreateSubnet(network_id=network.id, cidr="10.9.0.0/24"),
        theirs.CreatePort(network_id=network.id, mac_address="02:00:00:00:00:09"),
        theirs.CreatePort(network_id=network.id, fixed_ips=[pb.FixedIp(ip_address="10.0.0.1")]),
        theirs.CreatePort(network_id=network.id, port_security_disabled=True),
        theirs.CreatePort(network_id=network.id, allowed_address_pairs=[pb.AddressPair(ip_address="::/0")]),
        theirs.UpdatePort(id=port.id, port=pb.Port(), update_mask={"paths": ["port_security_enabled"]}),
    ):
        error = await refused(call, "PERMISSION_DENIED")
        assert error.metadata["permission"].startswith("network.")
    unshare = {"network": pb.Network(), "update_mask": {"paths": ["shared"]}}
    await refused(admin.UpdateNetwork(id=network.id, **unshare), "IN_USE")
    await theirs.DeletePort(id=port.id)
    assert not (await admin.UpdateNetwork(id=network.id, **unshare)).shared


async def test_an_external_network_is_seen_by_all_and_takes_no_guests(weft: Cloud, mine: Api):
    external = await weft.external_network()
    assert [n.id for n in (await mine.ListNetworks(external=True)).networks] == [external.id]
    assert (await mine.GetNetwork(id=external.id)).physical_network == ""
    await refused(mine.CreatePort(network_id=external.id), "PERMISSION_DENIED")


async def test_a_subnet_has_a_gateway_pools_and_a_dhcp_address_that_is_nobody_elses(mine: Api):
    network, subnet = await mine.network_with_subnet("10.0.0.0/29")
    assert (subnet.gateway_ip, subnet.ip_version, subnet.dhcp_enabled) == ("10.0.0.1", 4, True)
    assert [(p.start, p.end) for p in subnet.allocation_pools] == [("10.0.0.2", "10.0.0.6")]
    dhcp = (await mine.ListPorts(network_id=network.id)).ports
    assert [port.device_owner for port in dhcp] == ["network:dhcp"]
    await refused(mine.DeletePort(id=dhcp[0].id), "IN_USE")
    taken = {dhcp[0].fixed_ips[0].ip_address}
    for _ in range(4):
        port = await mine.CreatePort(network_id=network.id)
        taken.add(port.fixed_ips[0].ip_address)
    assert taken == {f"10.0.0.{last}" for last in range(2, 7)}
    error = await refused(mine.CreatePort(network_id=network.id), "ADDRESSES_EXHAUSTED")
    assert error.metadata == {"subnet_id": subnet.id}
    await mine.DeletePort(id=port.id)
    assert (await mine.CreatePort(network_id=network.id)).fixed_ips == port.fixed_ips


async def test_without_dhcp_there_is_no_dhcp_port_and_switching_makes_and_drops_it(mine: Api):
    network = await mine.CreateNetwork()
    subnet = await mine.CreateSubnet(network_id=network.id, cidr="10.0.0.0/24", dhcp_disabled=True)
    assert not (await mine.ListPorts(network_id=network.id)).ports
    for enabled in (True, False):
        mask = {"paths": ["dhcp_enabled"]}
        await mine.UpdateSubnet(id=subnet.id, subnet=pb.Subnet(dhcp_enabled=enabled), update_mask=mask)
        assert len((await mine.ListPorts(network_id=network.id)).ports) == enabled


def _pool(start: str, end: str) -> dict:
    return {"cidr": "10.0.0.0/24", "allocation_pools": [{"start": start, "end": end}]}


def _route(destination: str, next_hop: str) -> dict:
    return {"cidr": "10.0.0.0/24", "host_routes": [{"destination": destination, "next_hop": next_hop}]}


_UNSOUND = (
    ({"cidr": "10.0.0.1/24"}, "INVALID_ARGUMENT"),
    ({"cidr": "not a cidr"}, "INVALID_ARGUMENT"),
    ({"cidr": "127.0.0.0/8"}, "INVALID_ARGUMENT"),
    ({"cidr": "169.254.169.0/24"}, "INVALID_ARGUMENT"),
    ({"cidr": "0.0.0.0/0"}, "INVALID_ARGUMENT"),
    ({"cidr": "224.0.0.0/8"}, "INVALID_ARGUMENT"),
    ({"cidr": "10.0.0.0/24", "name": "x" * 10_000}, "INVALID_ARGUMENT"),
    ({"cidr": "10.0.0.0/24", "gateway_ip": "10.0.1.1"}, "ADDRESS_OUT_OF_RANGE"),
    ({"cidr": "10.0.0.0/24", "gateway_ip": "10.0.0.255"}, "ADDRESS_OUT_OF_RANGE"),
    ({"cidr": "10.0.0.0/24", "gateway_ip": "10.0.0.1", "no_gateway": True}, "INVALID_ARGUMENT"),
    (_route("::/0", "10.0.0.3"), "INVALID_ARGUMENT"),
    (_route("10.9.0.0/24", "fd00::3"), "INVALID_ARGUMENT"),
    (_pool("10.0.0.9", "10.0.0.2"), "INVALID_ARGUMENT"),
    (_pool("10.0.0.1", "10.0.0.2"), "INVALID_ARGUMENT"),
    (_pool("9.0.0.1", "9.0.0.2"), "ADDRESS_OUT_OF_RANGE"),
    ({"cidr": "10.0.0.0/32"}, "ADDRESSES_EXHAUSTED"),
)


async def test_unsound_subnets_are_refused_and_leave_nothing(mine: Api):
    network = await mine.CreateNetwork()
    for fields, reason in _UNSOUND:
        await refused(mine.CreateSubnet(network_id=network.id, **fields), reason)
    assert not (await mine.ListSubnets()).subnets
    assert not (await mine.ListPorts()).ports
    await mine.CreateSubnet(network_id=network.id, cidr="10.0.0.0/24")


async def test_hosts_are_told_of_routes_by_whatever_next_hop(mine: Api):
    network = await mine.CreateNetwork()
    made = await mine.CreateSubnet(network_id=network.id, **_route("10.9.0.0/24", "10.0.1.3"))
    assert [(each.destination, each.next_hop) for each in made.host_routes] == [("10.9.0.0/24", "10.0.1.3")]
    other = pb.Subnet(host_routes=[pb.HostRoute(destination="10.9.1.0/24", next_hop="192.0.2.1")])
    changed = await mine.UpdateSubnet(id=made.id, subnet=other)
    assert changed.host_routes == other.host_routes


async def test_overlapping_subnets_of_a_network_are_refused_and_of_two_are_not(mine: Api):
    network, subnet = await mine.network_with_subnet("10.0.0.0/16")
    error = await refused(mine.CreateSubnet(network_id=network.id, cidr="10.0.4.0/24"), "CIDR_OVERLAP")
    assert error.metadata == {"cidr": "10.0.4.0/24", "subnet_id": subnet.id, "other_cidr": "10.0.0.0/16"}
    await mine.network_with_subnet("10.0.4.0/24")
    await mine.CreateSubnet(network_id=network.id, cidr="fd00::/64")


async def test_of_twenty_that_make_the_same_subnet_at_once_one_does(weft_on_both: Cloud):
    mine = weft_on_both.project()
    network = await mine.CreateNetwork()
    cidrs = ["10.0.0.0/22", "10.0.1.0/24"] * 10
    calls = [mine.CreateSubnet(network_id=network.id, cidr=cidr) for cidr in cidrs]
    answers = await asyncio.gather(*calls, return_exceptions=True)
    assert sum(isinstance(answer, pb.Subnet) for answer in answers) == 1
    assert {a.reason for a in answers if isinstance(a, Exception)} == {"CIDR_OVERLAP"}


async def test_networks_made_at_once_have_segments_of_their_own(weft_on_both: Cloud):
    mine = weft_on_both.project()
    made = await asyncio.gather(*(mine.CreateNetwork(name=str(i)) for i in range(20)))
    system = weft_on_both.system()
    segments = {(await system.GetNetwork(id=network.id)).segmentation_id for network in made}
    assert len(segments) == 20


async def test_a_network_with_ports_stays_and_one_without_goes_with_its_subnets(mine: Api):
    network, subnet = await mine.network_with_subnet()
    port = await mine.CreatePort(network_id=network.id)
    error = await refused(mine.DeleteNetwork(id=network.id), "IN_USE")
    assert (error.metadata["used_by_type"], error.metadata["used_by_id"]) == ("port", port.id)
    await refused(mine.DeleteSubnet(id=subnet.id), "IN_USE")
    await mine.DeletePort(id=port.id)
    await mine.DeleteNetwork(id=network.id)
    await refused(mine.GetSubnet(id=subnet.id), "NOT_FOUND")
    assert not (await mine.ListPorts()).ports


async def test_what_is_only_validated_is_not_made(mine: Api):
    checked = await mine.CreateNetwork(name="dry", validate_only=True)
    assert checked.name == "dry"
    assert not (await mine.ListNetworks()).networks
    network, _ = await mine.network_with_subnet("10.0.0.0/24")
    overlapping = mine.CreateSubnet(network_id=network.id, cidr="10.0.0.0/24", validate_only=True)
    await refused(overlapping, "CIDR_OVERLAP")


async def test_a_request_sent_again_answers_the_same_and_a_different_one_is_refused(mine: Api):
    request_id = ids.new()
    first = await mine.CreateNetwork(name="once", request_id=request_id)
    assert await mine.CreateNetwork(name="once", request_id=request_id) == first
    assert len((await mine.ListNetworks()).networks) == 1
    await refused(mine.CreateNetwork(name="twice", request_id=request_id), "REQUEST_ID_REUSED")


async def test_limits_hold_also_for_twenty_at_once(weft_on_both: Cloud):
    weft_on_both.house.limits.limits.update(networks=5, ports=3)
    mine = weft_on_both.project()
    answers = await asyncio.gather(
        *(mine.CreateNetwork(name=str(i)) for i in range(20)), return_exceptions=True
    )
    assert sum(isinstance(answer, pb.Network) for answer in answers) == 5
    refusal = next(answer for answer in answers if isinstance(answer, Exception))
    assert refusal.reason == "QUOTA_EXCEEDED"
    assert refusal.metadata == {"resource": "networks", "limit": "5", "used": "5", "requested": "1"}
    network = next(answer for answer in answers if isinstance(answer, pb.Network))
    await mine.CreateSubnet(network_id=network.id, cidr="10.0.0.0/24")
    for _ in range(3):
        await mine.CreatePort(network_id=network.id)  # the port of DHCP is not counted
    await refused(mine.CreatePort(network_id=network.id), "QUOTA_EXCEEDED")
    assert await weft_on_both.project().CreateNetwork(name="another project's")


async def test_lists_come_in_pages_that_are_bound_to_the_caller(mine: Api, theirs: Api):
    made = [(await mine.CreateNetwork(name=f"n{i}")).id for i in range(5)]
    first = await mine.ListNetworks(page_size=3)
    rest = await mine.ListNetworks(page_size=3, page_token=first.next_page_token)
    assert [n.id for n in (*first.networks, *rest.networks)] == made
    assert not rest.next_page_token
    stolen = theirs.ListNetworks(page_size=3, page_token=first.next_page_token)
    await refused(stolen, "PAGE_TOKEN_INVALID")


async def _all(seen: list, count: int) -> bool:
    return len(seen) >= count


async def test_a_watcher_sees_its_own_networks_change_and_no_others(mine: Api, theirs: Api):
    seen = []

    async def watch():
        async for event in mine.WatchNetworks():
            seen.append((event.type, event.network.id, event.network.segmentation_id))

    task = asyncio.create_task(watch())
    await asyncio.sleep(0.2)
    hidden = await theirs.CreateNetwork(name="hidden")
    made = await mine.CreateNetwork(name="seen")
    await mine.UpdateNetwork(id=made.id, network=pb.Network(name="changed"))
    await mine.DeleteNetwork(id=made.id)
    await until(lambda: _all(seen, 3))
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert seen == [(type, made.id, 0) for type in ("CREATED", "UPDATED", "DELETED")]
    assert hidden.id not in {id for _, id, _ in seen}


async def test_a_gateway_moves_only_out_of_the_pools_and_off_a_router(mine: Api):
    _, subnet = await mine.network_with_subnet()
    mask = {"paths": ["gateway_ip"]}

    def move(address: str):
        return mine.UpdateSubnet(id=subnet.id, subnet=pb.Subnet(gateway_ip=address), update_mask=mask)

    await refused(move("10.0.0.9"), "INVALID_ARGUMENT")
    pools = [pb.AllocationPool(start="10.0.0.100", end="10.0.0.200")]
    await mine.UpdateSubnet(id=subnet.id, subnet=pb.Subnet(allocation_pools=pools))
    assert (await move("10.0.0.9")).gateway_ip == "10.0.0.9"
    router = await mine.CreateRouter(name="r")
    await mine.AddRouterInterface(id=router.id, subnet_id=subnet.id)
    await refused(move("10.0.0.8"), "IN_USE")


async def test_the_system_makes_things_for_a_project_and_nobody_else_does(
    weft: Cloud, mine: Api, theirs: Api
) -> None:
    network = await weft.system().CreateNetwork(name="given", project_id=mine.project_id)
    assert (await mine.GetNetwork(id=network.id)).project_id == mine.project_id
    for call in ("CreateNetwork", "CreateRouter", "CreateSecurityGroup"):
        await refused(getattr(theirs, call)(name="x", project_id=mine.project_id), "PERMISSION_DENIED")
        assert (await getattr(mine, call)(name="x", project_id=mine.project_id)).project_id == mine.project_id
    await refused(weft.system().CreateNetwork(name="nobody's"), "INVALID_ARGUMENT")
