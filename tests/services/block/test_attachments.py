"""Attachments, as compute drives them."""

import asyncio
from datetime import timedelta
from typing import Any

import pytest

from mesh import caller, clock, ids
from mesh.errors import CloudError
from services.block import reconcile
from services.block.attaching import Attaching
from services.block.drivers import drivers
from services.block.flows.app import App
from services.block.sources import Elsewhere
from tests.services.block.conftest import GIB, Block, Cloud, Host
from tests.services.block.fakes import Gate, failing
from tests.services.block.test_volumes import refused
from weft.block.v1 import attachment_service_pb2 as verbs
from weft.block.v1 import resources_pb2 as pb
from weft.compute.v1.resources_pb2 import Server


@pytest.fixture
async def near(world: Cloud, mine: Block, system: Block) -> tuple[pb.Volume, Host, Host]:
    """A volume, the host that has it, and one that has not."""
    first, second = world.hosts
    return await mine.make(2, near_host_id=first.id), first, second


async def test_on_its_own_host_a_volume_is_attached_as_a_file(near: Any, mine: Block, compute: Block) -> None:
    volume, here, _ = near
    reserved = await compute.reserve(volume.id, here.id)
    assert reserved.connection.file == pb.FileConnection(volume_id=volume.id, format="qcow2")
    assert reserved.connection.size_bytes == 2 * GIB
    assert reserved.volume.status == pb.VOLUME_STATUS_ATTACHING
    request = verbs.ConfirmAttachmentRequest(attachment_id=reserved.attachment.id, device="vdb")
    confirmed = [await compute.attachments.ConfirmAttachment(request) for _ in range(2)]
    assert {attachment.status for attachment in confirmed} == {pb.ATTACHMENT_STATUS_ATTACHED}
    seen = await mine.get(volume.id)
    assert seen.status == pb.VOLUME_STATUS_IN_USE
    assert [(a.device, a.server_id, a.host_id) for a in seen.attachments] == [
        ("vdb", reserved.attachment.server_id, "")
    ]
    assert await mine.ids(server_id=reserved.attachment.server_id) == {volume.id}


async def test_on_another_host_it_is_exported_under_the_attachments_name(near: Any, compute: Block) -> None:
    volume, here, there = near
    reserved = await compute.reserve(volume.id, there.id)
    assert reserved.connection.nbd.export == reserved.attachment.id
    assert here.fake.exports == {reserved.attachment.id: volume.id}
    await compute.release(reserved.attachment.id)
    assert here.fake.exports == {}


async def test_every_step_may_be_repeated(near: Any, mine: Block, compute: Block) -> None:
    volume, here, there = near
    key = {"attachment_id": ids.new(), "server_id": ids.new()}
    answers = [await compute.reserve(volume.id, there.id, **key) for _ in range(3)]
    assert answers[0].connection == answers[2].connection
    assert len(here.fake.exports) == 1
    other_server = compute.reserve(volume.id, there.id, **key | {"server_id": ids.new()})
    assert (await refused(other_server)).reason == "ALREADY_EXISTS"
    for _ in range(2):
        await compute.release(key["attachment_id"])
    assert (await mine.get(volume.id)).status == pb.VOLUME_STATUS_AVAILABLE


async def test_of_many_servers_at_once_one_gets_the_volume(near: Any, compute: Block) -> None:
    volume, here, _ = near
    wishes = (compute.reserve(volume.id, here.id) for _ in range(20))
    ends = await asyncio.gather(*wishes, return_exceptions=True)
    assert sum(isinstance(end, verbs.ReserveAttachmentResponse) for end in ends) == 1
    assert {end.reason for end in ends if isinstance(end, CloudError)} == {"WRONG_STATUS"}


async def test_a_detach_is_begun_aborted_and_done(near: Any, mine: Block, compute: Block) -> None:
    volume, here, _ = near
    attachment = await compute.attach(volume.id, here.id)
    begin = verbs.BeginDetachRequest(attachment_id=attachment.id)
    abort = verbs.AbortDetachRequest(attachment_id=attachment.id)
    for call, request, status in (
        (compute.attachments.BeginDetach, begin, pb.VOLUME_STATUS_DETACHING),
        (compute.attachments.BeginDetach, begin, pb.VOLUME_STATUS_DETACHING),
        (compute.attachments.AbortDetach, abort, pb.VOLUME_STATUS_IN_USE),
        (compute.attachments.BeginDetach, begin, pb.VOLUME_STATUS_DETACHING),
    ):
        await call(request)
        assert (await mine.get(volume.id)).status == status
    await compute.release(attachment.id)
    after = await mine.get(volume.id)
    assert (after.status, list(after.attachments)) == (pb.VOLUME_STATUS_AVAILABLE, [])


async def test_a_volume_in_use_is_not_deleted(near: Any, mine: Block, compute: Block) -> None:
    volume, here, _ = near
    attachment = await compute.attach(volume.id, here.id)
    assert (await refused(mine.delete(volume.id))).reason == "WRONG_STATUS"
    await compute.release(attachment.id)
    assert (await mine.delete(volume.id)).status == pb.VOLUME_STATUS_DELETING


async def test_people_do_not_attach_here(near: Any, mine: Block, system: Block) -> None:
    volume, here, _ = near
    for somebody in (mine, system):
        assert (await refused(somebody.reserve(volume.id, here.id))).reason == "AUDIENCE_REFUSED"


async def test_compute_reaches_what_the_one_it_acts_for_reaches(
    near: Any, mine: Block, theirs: Block, compute: Block
) -> None:
    volume, here, _ = near
    request = verbs.ReserveAttachmentRequest(
        attachment_id=ids.new(), volume_id=volume.id, server_id=ids.new(), host_id=here.id
    )

    async def reserve(acting: caller.Caller) -> verbs.ReserveAttachmentResponse:
        metadata = ((caller.METADATA_KEY, caller.encode(acting.through("compute"))),)
        return await compute.attachments.ReserveAttachment(request, metadata=metadata)

    assert (await refused(reserve(theirs.caller))).reason == "NOT_FOUND"
    assert (await reserve(mine.caller)).attachment.id == request.attachment_id
    get = verbs.GetAttachmentRequest(id=request.attachment_id)
    assert (await mine.attachments.GetAttachment(get)).host_id == ""
    assert (await refused(theirs.attachments.GetAttachment(get))).reason == "NOT_FOUND"
    listed = verbs.ListAttachmentsRequest(volume_id=volume.id)
    assert len((await mine.attachments.ListAttachments(listed)).attachments) == 1
    assert len((await theirs.attachments.ListAttachments(listed)).attachments) == 0


async def test_an_attached_volume_is_extended_under_its_guest(near: Any, mine: Block, compute: Block) -> None:
    volume, here, _ = near
    attachment = await compute.attach(volume.id, here.id)
    await mine.extend(volume.id, 4)
    after = await mine.settled(volume.id)
    assert (after.status, after.size_gib) == (pb.VOLUME_STATUS_IN_USE, 4)
    assert here.fake.told == [(attachment.server_id, volume.id, 4 * GIB)]


async def test_a_guest_that_is_gone_does_not_hold_up_an_extension(
    near: Any, mine: Block, compute: Block
) -> None:
    volume, here, _ = near
    await compute.attach(volume.id, here.id)
    here.fake.before["ResizeVolume"] = failing("NOT_FOUND")
    await mine.extend(volume.id, 4)
    assert (await mine.settled(volume.id)).size_gib == 4


async def test_a_volume_attached_from_elsewhere_is_not_extended(
    near: Any, mine: Block, compute: Block
) -> None:
    volume, _, there = near
    await compute.attach(volume.id, there.id)
    assert (await refused(mine.extend(volume.id, 4))).reason == "UNSUPPORTED"
    assert (await mine.get(volume.id)).status == pb.VOLUME_STATUS_IN_USE


async def test_a_volume_released_while_it_is_extended_ends_available(
    near: Any, mine: Block, compute: Block
) -> None:
    volume, here, _ = near
    attachment = await compute.attach(volume.id, here.id)
    here.fake.before["ExtendVolume"] = gate = Gate()
    await mine.extend(volume.id, 4)
    await gate.reached.wait()
    await compute.release(attachment.id)
    assert (await mine.get(volume.id)).status == pb.VOLUME_STATUS_EXTENDING
    gate.open()
    after = await mine.settled(volume.id)
    assert (after.status, after.size_gib) == (pb.VOLUME_STATUS_AVAILABLE, 4)


async def test_an_export_that_fails_keeps_the_reservation_for_another_try(
    near: Any, mine: Block, compute: Block
) -> None:
    volume, here, there = near
    here.fake.before["ExportVolume"] = failing("INTERNAL", 1)
    key = {"attachment_id": ids.new(), "server_id": ids.new()}
    assert (await refused(compute.reserve(volume.id, there.id, **key))).reason == "INTERNAL"
    assert (await mine.get(volume.id)).status == pb.VOLUME_STATUS_ATTACHING
    assert (await compute.reserve(volume.id, there.id, **key)).connection.nbd.export == key["attachment_id"]


async def test_a_release_that_overtakes_a_reservation_leaves_no_export(
    near: Any, mine: Block, compute: Block
) -> None:
    volume, here, there = near
    here.fake.before["ExportVolume"] = gate = Gate()
    key = {"attachment_id": ids.new(), "server_id": ids.new()}
    reserving = asyncio.create_task(compute.reserve(volume.id, there.id, **key))
    await gate.reached.wait()
    await compute.release(key["attachment_id"])
    gate.open()
    assert (await refused(reserving)).reason == "NOT_FOUND"
    assert here.fake.exports == {}
    assert (await mine.get(volume.id)).status == pb.VOLUME_STATUS_AVAILABLE


async def test_an_old_reservation_for_a_server_that_is_not_there_is_released(
    near: Any, mine: Block, compute: Block, world: Cloud
) -> None:
    volume, here, there = near
    other = await mine.make(1)
    server = Server(id=ids.new())
    world.servers.servers[server.id] = server
    await compute.reserve(volume.id, there.id)
    await compute.reserve(other.id, there.id, server_id=server.id)
    runtime = world.house.runtimes["block"]
    app = App(runtime.database, drivers(runtime.peers))

    async def sweep(minutes: float) -> list[int]:
        late = clock.now() + timedelta(minutes=minutes)
        with clock.told_by(lambda: late):
            await reconcile.release_stale(app, Attaching(app), Elsewhere(runtime.peers))
        return [(await mine.get(id)).status for id in (volume.id, other.id)]

    attaching, available = pb.VOLUME_STATUS_ATTACHING, pb.VOLUME_STATUS_AVAILABLE
    assert await sweep(29) == [attaching, attaching]
    assert await sweep(31) == [available, attaching]
    assert volume.id not in here.fake.exports.values()
