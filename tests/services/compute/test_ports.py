"""Network cards are given to servers that are there, and taken away."""

from typing import Any

import pytest

from mesh import ids
from mesh.errors import CloudError
from tests.services.compute.cloud import Cloud, status
from tests.services.compute.fakes.faults import broken
from weft.compute.v1.resources_pb2 import Server
from weft.compute.v1.server_service_pb2 import AttachPortRequest, DetachPortRequest, StopServerRequest


async def _attached(compute: Cloud, server: Server, **fields: Any) -> Server:
    request = AttachPortRequest(id=server.id, **fields)
    return await compute.member.settled(await compute.member.servers.AttachPort(request))


async def _detached(compute: Cloud, server: Server, port_id: str) -> Server:
    request = DetachPortRequest(id=server.id, port_id=port_id)
    return await compute.member.settled(await compute.member.servers.DetachPort(request))


async def test_a_card_on_a_network_comes_with_a_new_port_and_goes_with_it(compute: Cloud) -> None:
    made = await compute.member.boot(**compute.wish)
    group = compute.networks.add_group(compute.member.project_id, "web")
    fields = {"network_id": compute.network.id, "fixed_ip": "10.0.0.99", "security_groups": ["web"]}
    having = await _attached(compute, made, **fields)
    assert [len(made.ports), len(having.ports)] == [1, 2]
    port = having.ports[1]
    assert list(port.fixed_ips) == ["10.0.0.99"]
    assert list(compute.networks.ports[port.port_id].security_group_ids) == [group.id]
    told = compute.host_of(made).guests[made.id].ports[port.port_id]
    assert (told.mac_address, told.addresses[0].address) == (port.mac_address, "10.0.0.99/24")
    await compute.assert_consistent()
    without = await _detached(compute, made, port.port_id)
    assert [each.port_id for each in without.ports] == [made.ports[0].port_id]
    assert port.port_id not in compute.networks.ports
    await compute.assert_consistent()


async def test_a_port_that_was_there_is_free_again_afterwards(compute: Cloud) -> None:
    made = await compute.member.boot(**(compute.wish | {"no_network": True}))
    await compute.member.settled(await compute.member.servers.StopServer(StopServerRequest(id=made.id)))
    port = compute.networks.add_port(compute.network)
    having = await _attached(compute, made, port_id=port.id)
    assert (status(having), having.ports[0].port_id) == ("STOPPED", port.id)
    await compute.assert_consistent()
    await _detached(compute, made, port.id)
    assert compute.networks.ports[port.id].device_id == ""
    await compute.assert_consistent()


async def test_a_guest_that_does_not_take_a_card_leaves_nothing_of_it(compute: Cloud) -> None:
    made = await compute.member.boot(**compute.wish)
    compute.host_of(made).fail("AttachPort", broken("No slot is left."))
    kept = await _attached(compute, made, network_id=compute.network.id)
    assert (len(kept.ports), kept.status_reason) == (1, "No slot is left.")
    await compute.assert_consistent()


async def test_a_guest_that_does_not_let_go_keeps_its_card(compute: Cloud) -> None:
    made = await compute.member.boot(**compute.wish)
    compute.host_of(made).fail("DetachPort", broken("The guest does not let go."))
    kept = await _detached(compute, made, made.ports[0].port_id)
    assert (len(kept.ports), kept.status_reason) == (1, "The guest does not let go.")
    await compute.assert_consistent()


async def test_a_port_of_another_device_is_in_use_and_anothers_is_not_there(compute: Cloud) -> None:
    first, second = [await compute.member.boot(**compute.wish) for _ in range(2)]
    foreign = compute.networks.add_port(compute.networks.add_network(compute.stranger.project_id))
    for port_id, reason in (
        (first.ports[0].port_id, "IN_USE"),
        (foreign.id, "NOT_FOUND"),
        (ids.new(), "NOT_FOUND"),
    ):
        with pytest.raises(CloudError) as refused:
            await _attached(compute, second, port_id=port_id)
        assert refused.value.reason == reason
    with pytest.raises(CloudError) as refused:
        await _detached(compute, second, first.ports[0].port_id)
    assert refused.value.reason == "NOT_FOUND"
    await compute.assert_consistent()


async def test_another_projects_server_takes_no_card(compute: Cloud) -> None:
    made = await compute.member.boot(**compute.wish)
    own = compute.networks.add_network(compute.stranger.project_id)
    for id in (made.id, ids.new()):
        for call in (
            compute.stranger.servers.AttachPort(AttachPortRequest(id=id, network_id=own.id)),
            compute.stranger.servers.DetachPort(DetachPortRequest(id=id, port_id=made.ports[0].port_id)),
        ):
            with pytest.raises(CloudError) as refused:
                await call
            assert refused.value.reason == "NOT_FOUND"


async def test_asked_twice_it_comes_once(compute: Cloud) -> None:
    made = await compute.member.boot(**compute.wish)
    port = compute.networks.add_port(compute.network)
    request = {"port_id": port.id, "request_id": ids.new()}
    for _ in range(2):
        having = await _attached(compute, made, **request)
    assert len(having.ports) == 2
