"""Ports: bound, wired, changed and deleted."""

import asyncio

import pytest

from mesh import caller, ids
from mesh.errors import CloudError
from tests.services.harness import person, until
from tests.services.network.conftest import Api, Cloud, refused
from weft.network.v1 import port_service_pb2 as ports
from weft.network.v1 import resources_pb2 as pb
from weft.network.v1.port_service_pb2_grpc import PortServiceStub


async def test_a_port_is_unbound_then_binding_then_active_once_its_host_has_its_revision(
    weft: Cloud, mine: Api, compute: Api
):
    network, _ = await mine.network_with_subnet()
    async with weft.host("192.0.2.1") as host:
        port = await mine.CreatePort(network_id=network.id)
        assert port.status == pb.PORT_STATUS_UNBOUND
        server = ids.new()
        bound = await compute.BindPort(id=port.id, host_id=host.id, device_id=server)
        assert (bound.status, bound.device_owner) == (pb.PORT_STATUS_BINDING, "compute")
        assert await compute.BindPort(id=port.id, host_id=host.id, device_id=server) == bound
        await host.until(lambda: port.id in host.ports)
        assert host.ports[port.id].server_id == server
        await host.report(port, revision=host.ports[port.id].revision - 1)
        assert (await mine.GetPort(id=port.id)).status == pb.PORT_STATUS_BINDING
        await host.report(port)
        active = await mine.GetPort(id=port.id)
        assert (active.status, active.host_id) == (pb.PORT_STATUS_ACTIVE, "")
        assert (await weft.system().GetPort(id=port.id)).host_id == host.id


async def test_a_port_may_be_made_on_a_host(weft: Cloud, mine: Api, compute: Api):
    network, _ = await mine.network_with_subnet()
    acting = caller.encode(person(mine.project_id, "member").through("compute"))
    stub = weft.house.service("network", "compute").stub(PortServiceStub)

    async def create(**port: str) -> pb.Port:
        return await stub.CreatePort(
            ports.CreatePortRequest(**port), metadata=((caller.METADATA_KEY, acting),)
        )

    async with weft.host("192.0.2.1") as host:
        server = ids.new()
        port = await create(network_id=network.id, host_id=host.id, device_id=server)
        assert (port.status, port.host_id, port.device_id) == (pb.PORT_STATUS_BINDING, host.id, server)
        await host.until(lambda: port.id in host.ports)
        assert host.ports[port.id].server_id == server
        await host.report(port)
        assert (await mine.GetPort(id=port.id)).status == pb.PORT_STATUS_ACTIVE
        assert (await compute.BindPort(id=port.id, host_id=host.id, device_id=server)).revision == 2
    await refused(create(network_id=network.id, host_id=host.id), "INVALID_ARGUMENT")
    theirs = mine.CreatePort(network_id=network.id, host_id=host.id, device_id=server)
    await refused(theirs, "PERMISSION_DENIED")


async def test_what_a_host_says_changes_its_own_ports_only(weft: Cloud, mine: Api, compute: Api):
    network, _ = await mine.network_with_subnet()
    async with weft.host() as host, weft.host() as other:
        port = await mine.bound_port(compute, network.id, host.id)
        await other.report(port, revision=1000)
        assert (await mine.GetPort(id=port.id)).status == pb.PORT_STATUS_BINDING
        await refused(other.api.ReportHostState(host_id=host.id), "PERMISSION_DENIED")
        await host.until(lambda: port.id in host.ports)
        for state, status in (
            ("FAILED", pb.PORT_STATUS_DOWN),
            ("WIRED", pb.PORT_STATUS_ACTIVE),
            ("REMOVED", pb.PORT_STATUS_DOWN),
            ("WIRED", pb.PORT_STATUS_ACTIVE),
        ):
            await host.report(port, state)
            assert (await mine.GetPort(id=port.id)).status == status


async def test_a_host_watches_no_other_hosts_state(weft: Cloud):
    async with weft.host() as host:
        stream = host.api.WatchHostState(host_id=ids.new())
        with pytest.raises(Exception, match="The certificate is of the host"):
            async for _ in stream:
                pass


async def test_a_bound_port_is_bound_nowhere_else_until_it_is_unbound(mine: Api, compute: Api):
    network, _ = await mine.network_with_subnet()
    here, there = ids.new(), ids.new()
    port = await mine.bound_port(compute, network.id, here)
    error = await refused(
        compute.BindPort(id=port.id, host_id=there, device_id=port.device_id), "WRONG_STATUS"
    )
    assert error.metadata["allowed"] == "UNBOUND"
    await refused(compute.BindPort(id=port.id, host_id=here, device_id=ids.new()), "IN_USE")
    untouched = await compute.UnbindPort(id=port.id, host_id=there)
    assert untouched.host_id == here
    free = await compute.UnbindPort(id=port.id, host_id=here)
    assert (free.status, free.host_id, free.device_id) == (pb.PORT_STATUS_UNBOUND, "", "")
    assert await compute.UnbindPort(id=port.id) == free
    assert (await compute.BindPort(id=port.id, host_id=there, device_id=ids.new())).host_id == there


async def test_binding_is_for_services_alone(mine: Api):
    network, _ = await mine.network_with_subnet()
    port = await mine.CreatePort(network_id=network.id)
    await refused(mine.BindPort(id=port.id, host_id=ids.new(), device_id=ids.new()), "AUDIENCE_REFUSED")
    await refused(mine.UnbindPort(id=port.id), "AUDIENCE_REFUSED")
    await refused(mine.CreatePort(network_id=network.id, device_owner="compute"), "PERMISSION_DENIED")
    forged = mine.CreatePort(network_id=network.id, device_owner="network:dhcp")
    await refused(forged, "INVALID_ARGUMENT")
    await refused(mine.ListPorts(host_id=ids.new()), "PERMISSION_DENIED")


async def test_another_projects_port_is_not_there(mine: Api, theirs: Api):
    network, _ = await mine.network_with_subnet()
    port = await mine.CreatePort(network_id=network.id)
    await refused(theirs.GetPort(id=port.id), "NOT_FOUND")
    await refused(theirs.UpdatePort(id=port.id, port=pb.Port(name="x")), "NOT_FOUND")
    await refused(theirs.DeletePort(id=port.id), "NOT_FOUND")
    assert not (await theirs.ListPorts()).ports
    own = await theirs.ListSecurityGroups()
    assert port.security_group_ids[0] not in {group.id for group in own.security_groups}
    foreign = {"security_group_ids": list(port.security_group_ids)}
    elsewhere, _ = await theirs.network_with_subnet()
    await refused(theirs.CreatePort(network_id=elsewhere.id, **foreign), "NOT_FOUND")


async def test_a_port_is_made_with_an_id_of_the_callers_choice_once(mine: Api):
    network, _ = await mine.network_with_subnet()
    id = ids.new()
    assert (await mine.CreatePort(network_id=network.id, id=id)).id == id
    await refused(mine.CreatePort(network_id=network.id, id=id), "ALREADY_EXISTS")


async def test_ports_are_found_by_what_they_have(mine: Api):
    network, _ = await mine.network_with_subnet()
    one = await mine.CreatePort(network_id=network.id, name="one")
    other = await mine.CreatePort(network_id=network.id, name="other", no_security_groups=True)
    for wanted in (
        {"name": "one"},
        {"mac_address": one.mac_address},
        {"ip_address": one.fixed_ips[0].ip_address},
        {"security_group_id": one.security_group_ids[0]},
    ):
        assert [port.id for port in (await mine.ListPorts(**wanted)).ports] == [one.id]
    assert not other.security_group_ids


async def test_a_port_keeps_the_addresses_that_it_has_when_any_are_wished_for(mine: Api):
    network, subnet = await mine.network_with_subnet()
    port = await mine.CreatePort(network_id=network.id)
    (held,) = port.fixed_ips
    for wish in (pb.FixedIp(subnet_id=subnet.id), held, pb.FixedIp(ip_address=held.ip_address)):
        same = await mine.UpdatePort(id=port.id, port=pb.Port(fixed_ips=[wish]))
        assert list(same.fixed_ips) == [held]
    await refused(mine.UpdatePort(id=port.id, port=pb.Port(fixed_ips=[pb.FixedIp()])), "INVALID_ARGUMENT")
    other = pb.FixedIp(subnet_id=subnet.id, ip_address="10.0.0.77")
    assert list((await mine.UpdatePort(id=port.id, port=pb.Port(fixed_ips=[other]))).fixed_ips) == [other]


async def test_a_ports_addresses_groups_and_flags_change(mine: Api):
    network, subnet = await mine.network_with_subnet()
    port = await mine.CreatePort(network_id=network.id)
    group = await mine.CreateSecurityGroup(name="web")
    wanted = pb.Port(
        name="new",
        fixed_ips=[pb.FixedIp(subnet_id=subnet.id, ip_address="10.0.0.222"), *port.fixed_ips],
        security_group_ids=[group.id],
        allowed_address_pairs=[pb.AddressPair(ip_address="10.9.0.7/24")],
    )
    changed = await mine.UpdatePort(id=port.id, port=wanted)
    assert [ip.ip_address for ip in changed.fixed_ips] == ["10.0.0.222", port.fixed_ips[0].ip_address]
    assert list(changed.security_group_ids) == [group.id]
    assert changed.allowed_address_pairs[0].ip_address == "10.9.0.0/24"
    mask = {"paths": ["port_security_enabled"]}
    await refused(mine.UpdatePort(id=port.id, port=pb.Port(), update_mask=mask), "INVALID_ARGUMENT")
    both = {"paths": ["port_security_enabled", "security_group_ids"]}
    open_port = await mine.UpdatePort(id=port.id, port=pb.Port(), update_mask=both)
    assert not open_port.port_security_enabled
    unknown = mine.UpdatePort(id=port.id, port=pb.Port(), update_mask={"paths": ["host_id", "nonsense"]})
    error = await refused(unknown, "INVALID_ARGUMENT")
    assert set(error.fields) == {"update_mask.host_id", "update_mask.nonsense"}


async def test_a_list_shows_each_change_and_to_each_what_they_may_see(weft: Cloud, mine: Api, compute: Api):
    network, subnet = await mine.network_with_subnet()
    taken = {ip.ip_address for port in (await mine.ListPorts()).ports for ip in port.fixed_ips}
    free = "10.0.0.221" if "10.0.0.222" in taken else "10.0.0.222"
    system, host_id, id = weft.system(), ids.new(), ids.new()

    async def shown(name: str) -> None:
        for who, host in ((mine, ""), (system, host_id), (mine, "")):
            listed = (await who.ListPorts(device_id=port.device_id)).ports
            assert list(listed) == [await who.GetPort(id=id)]
            assert (listed[0].name, listed[0].host_id) == (name, host)

    for _ in range(2):
        port = await mine.CreatePort(network_id=network.id, id=id, name="one")
        port = await compute.BindPort(id=id, host_id=host_id, device_id=ids.new())
        await shown("one")
        await mine.UpdatePort(id=id, port=pb.Port(name="other"))
        await shown("other")
        address = pb.FixedIp(subnet_id=subnet.id, ip_address=free)
        await mine.UpdatePort(id=id, port=pb.Port(fixed_ips=[address]))
        await shown("other")
        await mine.UpdatePort(id=id, port=pb.Port(), update_mask={"paths": ["security_group_ids"]})
        await shown("other")
        await mine.DeletePort(id=id)
        assert not (await system.ListPorts(device_id=port.device_id)).ports


async def test_macs_of_no_single_device_are_refused(mine: Api):
    network, _ = await mine.network_with_subnet()
    for mac in ("01:00:5e:00:00:01", "ff:ff:ff:ff:ff:ff", "00:00:00:00:00:00", "nonsense"):
        await refused(mine.CreatePort(network_id=network.id, mac_address=mac), "INVALID_ARGUMENT")
    assert await mine.CreatePort(network_id=network.id, mac_address="02:00:00:00:00:77")


async def test_a_watcher_sees_a_port_go_through_its_states(mine: Api, compute: Api):
    network, _ = await mine.network_with_subnet()
    seen = []

    async def watch() -> None:
        async for event in mine.WatchPorts(from_revision=1):
            seen.append((event.type, event.port.status, event.port.host_id))

    task = asyncio.create_task(watch())
    port = await mine.bound_port(compute, network.id, ids.new())
    await mine.DeletePort(id=port.id)

    async def done() -> bool:
        return len(seen) >= 4

    await until(done)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert seen == [
        ("CREATED", pb.PORT_STATUS_ACTIVE, ""),  # that of DHCP
        ("CREATED", pb.PORT_STATUS_UNBOUND, ""),
        ("UPDATED", pb.PORT_STATUS_BINDING, ""),
        ("DELETED", pb.PORT_STATUS_BINDING, ""),
    ]


async def test_a_port_that_a_service_deleted_before_its_creation_came_is_not_made(
    weft: Cloud, mine: Api
) -> None:
    """What a cancelled boot asked for may be slower on its way than what takes it back."""
    network, _ = await mine.network_with_subnet()
    stub = weft.house.service("network", "compute").stub(PortServiceStub)
    acting = caller.encode(person(mine.project_id, "member").through("compute"))
    early, late = ids.new(), ids.new()
    for id, creations in ((late, 0), (early, 1)):
        create = ports.CreatePortRequest(network_id=network.id, id=id, request_id=id)
        delete = ports.DeletePortRequest(id=id, allow_missing=True)
        for _ in range(creations):
            await stub.CreatePort(create, metadata=((caller.METADATA_KEY, acting),))
        await stub.DeletePort(delete, metadata=((caller.METADATA_KEY, acting),))
    with pytest.raises(CloudError) as caught:
        await stub.CreatePort(
            ports.CreatePortRequest(network_id=network.id, id=late, request_id=late),
            metadata=((caller.METADATA_KEY, acting),),
        )
    assert caught.value.reason == "CANCELLED"
    left = {port.id for port in (await mine.ListPorts(network_id=network.id)).ports}
    assert not left & {early, late}
