"""Guests and volumes that are where no server has them: healed where that is proven, told where it is not."""

import pytest

from mesh import ids
from mesh.errors import CloudError
from services.compute import volume_drift
from services.compute.flows.app import App
from services.compute.nodes import Nodes
from services.compute.reconcile import Reconciler
from services.compute.tables import servers
from tests.services.compute.cloud import Cloud
from tests.services.compute.fakes.faults import away
from tests.services.compute.fakes.node import Machine, Node
from weft.block.v1.resources_pb2 import Attachment
from weft.compute.v1.host_service_pb2 import FindAttachmentsRequest, UpdateHostRequest
from weft.compute.v1.host_service_pb2_grpc import HostServiceStub
from weft.compute.v1.resources_pb2 import Host, Server
from weft.compute.v1.server_service_pb2 import AttachVolumeRequest
from weft.node.v1.resources_pb2 import GuestVolume


def reconciler(compute: Cloud) -> Reconciler:
    runtime = compute.runtime
    return Reconciler(App(runtime.database, runtime.peers, Nodes(runtime.peers, runtime.database)))


async def compare_volumes(compute: Cloud) -> None:
    sweeps = reconciler(compute)
    await volume_drift.compare(sweeps._app, sweeps._warnings)


def other_than(compute: Cloud, node: Node) -> Node:
    return next(each for each in compute.nodes if each is not node)


async def with_volume(compute: Cloud) -> tuple[Server, str]:
    """A server that has a volume, and the attachment."""
    made = await compute.member.boot(**compute.wish)
    volume = compute.block.add_volume(compute.member.project_id)
    request = AttachVolumeRequest(id=made.id, volume_id=volume.id)
    made = await compute.member.settled(await compute.member.servers.AttachVolume(request))
    return made, made.volumes[0].attachment_id


async def find(compute: Cloud, *ids: str, host_id: str = "") -> dict[str, tuple[str, bool]]:
    """Who has attachments, as block hears it: the server, and whether it lists it."""
    stub = compute.house.service("compute", "block").stub(HostServiceStub)
    answer = await stub.FindAttachments(FindAttachmentsRequest(attachment_ids=ids, host_id=host_id))
    return {holder.attachment_id: (holder.server_id, holder.listed) for holder in answer.holders}


async def test_a_guest_whose_server_was_deleted_is_destroyed_when_its_host_comes_back(
    compute: Cloud,
) -> None:
    made = await compute.member.boot(**compute.wish)
    node = compute.host_of(made)
    guest = node.guests[made.id]
    await compute.member.delete(made)
    node.guests[made.id] = guest  # the host was written off, and is back
    await reconciler(compute).compare_guests()
    assert node.guests == {}
    assert compute.telemetry.warnings == set()


async def test_a_guest_of_a_server_that_runs_on_another_host_is_destroyed(compute: Cloud) -> None:
    made = await compute.member.boot(**compute.wish)
    node = compute.host_of(made)
    second = other_than(compute, node)
    second.guests[made.id] = Machine(node.guests[made.id].spec)
    await reconciler(compute).compare_guests()
    assert (list(node.guests), list(second.guests)) == ([made.id], [])


async def test_a_guest_that_a_resize_can_be_reverted_to_is_let_be(compute: Cloud) -> None:
    made = await compute.member.boot(**compute.wish)
    node = compute.host_of(made)
    second = other_than(compute, node)
    change = servers.update().where(servers.c.id == made.id)
    change = change.values(resize={"host_id": second.id}, revision=servers.c.revision + 1)
    await compute.runtime.database.write(lambda connection: connection.execute(change).rowcount)
    second.guests[made.id] = Machine(node.guests[made.id].spec)
    await reconciler(compute).compare_guests()
    assert (list(node.guests), list(second.guests)) == ([made.id], [made.id])
    assert compute.telemetry.warnings == set()


async def test_a_guest_of_a_server_whose_own_is_not_seen_is_left_alone_and_told(compute: Cloud) -> None:
    made = await compute.member.boot(**compute.wish)
    node = compute.host_of(made)
    second = other_than(compute, node)
    second.guests[made.id] = Machine(node.guests.pop(made.id).spec)
    for _ in range(2):  # in the first the server may change, as its own guest is lost
        await reconciler(compute).compare_guests()
    assert list(second.guests) == [made.id]
    assert compute.telemetry.warnings == {("UNKNOWN_GUEST", made.id)}


async def test_a_guest_of_a_server_that_nobody_remembers_is_left_alone_and_told_until_it_goes(
    compute: Cloud,
) -> None:
    made = await compute.member.boot(**compute.wish)
    node, unknown = compute.host_of(made), ids.new()
    node.guests[unknown] = Machine(node.guests[made.id].spec)
    node.guests[unknown].spec = type(node.guests[made.id].spec)(server_id=unknown)
    sweeps = reconciler(compute)
    await sweeps.compare_guests()
    assert set(node.guests) == {made.id, unknown}
    assert compute.telemetry.warnings == {("UNKNOWN_GUEST", unknown)}
    del node.guests[unknown]
    await sweeps.compare_guests()
    assert compute.telemetry.warnings == set()


async def test_who_has_an_attachment_is_known_from_rows_and_from_guests(compute: Cloud) -> None:
    made, listed = await with_volume(compute)
    node, unlisted, nobodys = compute.host_of(made), ids.new(), ids.new()
    node.guests[made.id].volumes[unlisted] = GuestVolume(attachment_id=unlisted, volume_id=ids.new())
    assert await find(compute, listed, unlisted, nobodys) == {
        listed: (made.id, True),
        unlisted: (made.id, False),
    }
    assert await find(compute, unlisted, host_id=other_than(compute, node).id) == {}


async def test_nobody_has_an_attachment_only_when_every_host_has_said_so(compute: Cloud) -> None:
    made, listed = await with_volume(compute)
    node = compute.host_of(made)
    node.fail("ListGuests", *[away()] * 40)
    assert await find(compute, listed) == {listed: (made.id, True)}
    with pytest.raises(CloudError) as silent:
        await find(compute, ids.new())
    assert silent.value.reason == "UNAVAILABLE"
    await compute.host_falls_silent(node)
    written_off = UpdateHostRequest(id=node.id, host=Host(disabled=True, disabled_reason="burnt down"))
    await compute.admin.hosts.UpdateHost(written_off)
    assert await find(compute, ids.new()) == {}


async def test_a_list_entry_that_neither_guest_nor_block_knows_is_removed(compute: Cloud) -> None:
    made, attachment = await with_volume(compute)
    await compare_volumes(compute)
    assert len((await compute.member.get(made.id)).volumes) == 1
    del compute.block.attachments[attachment]
    del compute.host_of(made).guests[made.id].volumes[attachment]
    await compare_volumes(compute)
    assert list((await compute.member.get(made.id)).volumes) == []
    assert compute.telemetry.warnings == set()


@pytest.mark.parametrize("without", ["block", "guest", "server"])
async def test_a_difference_that_somebody_may_write_by_is_told_and_left(compute: Cloud, without: str) -> None:
    made, attachment = await with_volume(compute)
    guest = compute.host_of(made).guests[made.id]
    volume_id = made.volumes[0].volume_id
    if without == "block":
        del compute.block.attachments[attachment]
    elif without == "guest":
        del guest.volumes[attachment]
    else:
        change = servers.update().where(servers.c.id == made.id)
        change = change.values(volumes=[], revision=servers.c.revision + 1)
        await compute.runtime.database.write(lambda connection: connection.execute(change).rowcount)
    await compare_volumes(compute)
    assert compute.telemetry.warnings == {("VOLUME_DRIFT", volume_id)}
    assert len((await compute.member.get(made.id)).volumes) == (without != "server")
    assert (attachment in guest.volumes) == (without != "guest")


async def test_what_block_alone_keeps_is_left_to_block(compute: Cloud) -> None:
    made = await compute.member.boot(**compute.wish)
    lone = Attachment(id=ids.new(), server_id=made.id, volume_id=ids.new())
    compute.block.attachments[lone.id] = lone
    await compare_volumes(compute)
    assert compute.telemetry.warnings == set()
    assert lone.id in compute.block.attachments
