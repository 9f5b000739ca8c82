"""A server is made from an image, a volume or a new volume, on a host that can."""

from mesh import ids
from mesh.errors import CloudError
from tests.services.compute.cloud import Cloud, status
from tests.services.harness import until
from weft.compute.v1.server_service_pb2 import (
    CreateServerRequest,
    NetworkRequest,
    NewBootVolume,
    VolumeRequest,
)
from weft.operation.v1.operation_pb2 import (
    CancelOperationRequest,
    GetOperationRequest,
    ListOperationsRequest,
    OperationState,
)


async def test_a_server_from_an_image_is_active_with_a_port_on_the_only_network(compute: Cloud) -> None:
    made = await compute.member.boot(**compute.wish, user_data=b"#!/bin/sh", metadata={"role": "web"})
    assert status(made) == "ACTIVE"
    assert [port.network_id for port in made.ports] == [compute.network.id]
    assert made.host_id == ""
    spec = compute.host_of(made).guests[made.id].spec
    assert spec.root_disk.size_bytes == 2 << 30
    assert spec.metadata.user_data == b"#!/bin/sh"
    assert spec.metadata.hostname == "web"
    assert spec.ports[0].addresses[0].gateway == "10.0.0.1"
    assert spec.ports[0].addresses[0].address.endswith("/24")
    await compute.assert_consistent()


async def test_the_operation_tells_each_step(compute: Cloud) -> None:
    begun = await compute.member.servers.CreateServer(CreateServerRequest(**compute.wish))
    assert status(begun) == "BUILDING"
    await compute.member.settled(begun)
    told = await compute.member.operations.GetOperation(GetOperationRequest(id=begun.operation_id))
    assert told.state == OperationState.OPERATION_STATE_SUCCEEDED
    assert [step.name for step in told.steps][:3] == ["claim host", "create ports", "bind ports"]
    assert told.target_id == begun.id
    attempts = {step.name: step.attempts for step in told.steps}
    assert attempts["stage image"] == 1
    assert attempts["create boot volume"] == 0, "there was nothing to do"
    assert all(step.HasField("started_at") and step.HasField("ended_at") for step in told.steps)
    assert "sh" not in str(told)


async def test_a_server_boots_from_a_new_volume_near_its_host(compute: Cloud) -> None:
    new = NewBootVolume(image_id=compute.image.id, size_gib=3, delete_on_termination=True)
    made = await compute.member.boot(name="db", flavor_id=compute.flavor.id, new_volume=new)
    assert status(made) == "ACTIVE"
    assert made.image_id == ""
    assert [(v.boot, v.delete_on_termination) for v in made.volumes] == [(True, True)]
    assert compute.block.status_of(made.volumes[0].volume_id) == "IN_USE"
    assert not compute.host_of(made).guests[made.id].spec.HasField("root_disk")
    await compute.assert_consistent()
    await compute.member.delete(made)
    assert compute.block.volumes == {}


async def test_a_server_takes_volumes_that_exist_and_keeps_their_order(compute: Cloud) -> None:
    boot = compute.block.add_volume(compute.member.project_id, bootable=True)
    data = compute.block.add_volume(compute.member.project_id)
    made = await compute.member.boot(
        name="db",
        flavor_id=compute.flavor.id,
        volume_id=boot.id,
        volumes=[VolumeRequest(volume_id=data.id)],
        no_network=True,
    )
    assert [(v.volume_id, v.boot) for v in made.volumes] == [(boot.id, True), (data.id, False)]
    assert all(v.device for v in made.volumes)
    assert list(made.ports) == []
    await compute.member.delete(made)
    assert {compute.block.status_of(id) for id in (boot.id, data.id)} == {"AVAILABLE"}


async def test_a_port_that_exists_is_taken_and_outlives_the_server(compute: Cloud) -> None:
    port = compute.networks.add_port(compute.network)
    made = await compute.member.boot(**compute.wish, networks=[NetworkRequest(port_id=port.id)])
    assert made.ports[0].port_id == port.id
    assert port.device_id == made.id
    await compute.member.delete(made)
    assert compute.networks.ports[port.id].device_id == ""


async def test_a_host_that_fails_is_left_for_another(compute: Cloud) -> None:
    bad = CloudError("HYPERVISOR_FAILED", "libvirt is away.", detail="x")
    compute.nodes[0].fail("StartGuest", bad)
    compute.nodes[1].fail("StartGuest", bad)
    made = await compute.member.boot(**compute.wish)
    assert status(made) == "ERROR"
    assert "NO_VALID_HOST" not in made.status_reason
    assert "Tried before: libvirt is away. libvirt is away." in made.status_reason
    await compute.assert_consistent()
    for node in compute.nodes:
        assert node.guests == {}
    compute.nodes[0].fail("StartGuest", bad)
    servers = [await compute.member.boot(**compute.wish) for _ in range(2)]
    assert {status(server) for server in servers} == {"ACTIVE"}
    await compute.assert_consistent()


async def test_no_valid_host_names_every_filter_and_how_many_each_removed(compute: Cloud) -> None:
    made = await compute.member.boot(**compute.wish, availability_zone="moon")
    assert status(made) == "ERROR"
    assert (
        made.status_reason == "No host can take the server. Of 2 there were removed by availability_zone 2."
    )
    listed = await compute.member.operations.ListOperations(ListOperationsRequest(target_id=made.id))
    error = listed.operations[0].error
    assert error.reason == "NO_VALID_HOST"
    assert error.metadata["hosts"] == "2"
    assert error.metadata["filters"].split(",") == [
        "known=0",
        "up=0",
        "enabled=0",
        "requested_host=0",
        "availability_zone=2",
        "server_group=0",
        "same_host=0",
        "different_host=0",
        "not_excluded=0",
    ]


async def test_many_hosts_that_may_not_take_it_do_not_hide_one_that_may(compute: Cloud) -> None:
    there = list(compute.placement.providers.items())
    for _ in range(40):  # placement knows them, and compute does not
        compute.placement.providers[ids.new()] = there[0][1]
    for id, provider in there:  # last, so that a list of a few shows none of those that may
        del compute.placement.providers[id]
        compute.placement.providers[id] = provider
    made = await compute.member.boot(**compute.wish)
    assert status(made) == "ACTIVE"
    assert compute.placement.calls.count("ListCandidates") == 2


async def test_a_boot_that_is_cancelled_leaves_nothing(compute: Cloud) -> None:
    for node in compute.nodes:
        node.hold("StartGuest")
    begun = await compute.member.servers.CreateServer(CreateServerRequest(**compute.wish))

    async def starting() -> bool:
        return any("StartGuest" in node.calls for node in compute.nodes)

    await until(starting)
    await compute.member.operations.CancelOperation(CancelOperationRequest(id=begun.operation_id))
    ended = await compute.member.settled(begun)
    assert (status(ended), ended.status_reason) == ("ERROR", "The operation was cancelled.")
    await compute.assert_consistent()
