"""A server is deleted from whatever it does, with all that was made with it."""

from mesh.errors import CloudError
from tests.services.compute.cloud import Cloud, status
from tests.services.compute.fakes.faults import broken
from tests.services.harness import until
from weft.compute.v1.host_service_pb2 import UpdateHostRequest
from weft.compute.v1.resources_pb2 import Host
from weft.compute.v1.server_service_pb2 import CreateServerRequest, DeleteServerRequest, NewBootVolume

_AWAY = CloudError("UNAVAILABLE", "nobody listens")


async def test_nothing_is_left_of_a_deleted_server(compute: Cloud) -> None:
    made = await compute.member.boot(**compute.wish)
    assert compute.placement.consumers
    assert compute.networks.ports
    await compute.member.delete(made)
    assert compute.placement.consumers == {}
    assert compute.networks.ports == {}
    await compute.assert_consistent()


async def test_a_server_that_is_still_made_is_deleted_too(compute: Cloud) -> None:
    for node in compute.nodes:
        node.hold("StartGuest")
    begun = await compute.member.servers.CreateServer(CreateServerRequest(**compute.wish))

    async def starting() -> bool:
        return any("StartGuest" in node.calls for node in compute.nodes)

    await until(starting)
    await compute.member.delete(begun)
    assert compute.placement.consumers == {}
    await compute.assert_consistent()


async def test_a_failed_server_is_deleted(compute: Cloud) -> None:
    compute.networks.fail("CreatePort", broken())
    failed = await compute.member.boot(**compute.wish)
    assert status(failed) == "ERROR"
    await compute.member.delete(failed)
    await compute.assert_consistent()


async def test_deleting_twice_is_deleting_once(compute: Cloud) -> None:
    made = await compute.member.boot(**compute.wish)
    compute.host_of(made).hold("DeleteGuest")
    first = await compute.member.servers.DeleteServer(DeleteServerRequest(id=made.id))
    second = await compute.member.servers.DeleteServer(DeleteServerRequest(id=made.id))
    assert (status(first), status(second)) == ("DELETING", "DELETING")
    assert first.operation_id == second.operation_id
    compute.host_of(made).hold("DeleteGuest").set()
    await until(lambda: compute.member.gone(made))
    missing = await compute.member.servers.DeleteServer(DeleteServerRequest(id=made.id, allow_missing=True))
    assert missing.id == made.id


async def test_a_host_that_does_not_answer_keeps_its_server_until_it_is_written_off(compute: Cloud) -> None:
    made = await compute.member.boot(**compute.wish)
    node = compute.host_of(made)
    node.fail("DeleteGuest", *[_AWAY] * 20)
    await compute.member.servers.DeleteServer(DeleteServerRequest(id=made.id))
    kept = await compute.member.settled(made)
    assert status(kept) == "ACTIVE"
    assert "does not answer" in kept.status_reason
    await compute.assert_consistent()
    disabled = Host(disabled=True, disabled_reason="burnt down")
    await compute.admin.hosts.UpdateHost(UpdateHostRequest(id=node.id, host=disabled))
    await compute.host_falls_silent(node)
    node.fail("DeleteGuest", *[_AWAY] * 20)
    await compute.member.delete(kept)
    assert node.guests.keys() == {made.id}
    assert compute.placement.consumers == {}


async def test_a_volume_that_block_keeps_does_not_keep_the_server(compute: Cloud) -> None:
    new = NewBootVolume(image_id=compute.image.id, delete_on_termination=True)
    made = await compute.member.boot(name="db", flavor_id=compute.flavor.id, new_volume=new)
    compute.block.fail("DeleteVolume", CloudError("IN_USE", "It has snapshots."))
    await compute.member.delete(made)
    assert compute.block.status_of(made.volumes[0].volume_id) == "AVAILABLE"
