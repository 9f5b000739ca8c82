"""Volumes go from one project to another: wholly, once, and to nobody without the key."""

import asyncio
from typing import Any

import pytest

from mesh import ids
from mesh.errors import CloudError
from tests.services.block.conftest import Block, Cloud, as_user
from tests.services.block.fakes import Gate
from tests.services.block.test_volumes import refused
from tests.services.harness import person
from weft.block.v1 import resources_pb2 as pb
from weft.block.v1 import volume_transfer_service_pb2 as verbs
from weft.block.v1.snapshot_service_pb2 import GetSnapshotRequest
from weft.block.v1.volume_service_pb2 import WatchVolumesRequest


async def offered(mine: Block, volume_id: str, **fields: Any) -> pb.VolumeTransfer:
    request = verbs.CreateVolumeTransferRequest(volume_id=volume_id, **fields)
    return await mine.transfers.CreateVolumeTransfer(request)


async def accepted(whose: Block, offer: pb.VolumeTransfer, key: str = "", **fields: Any) -> pb.Volume:
    request = verbs.AcceptVolumeTransferRequest(id=offer.id, auth_key=key or offer.auth_key, **fields)
    return await whose.transfers.AcceptVolumeTransfer(request)


async def withdrawn(whose: Block, id: str) -> None:
    await whose.transfers.DeleteVolumeTransfer(verbs.DeleteVolumeTransferRequest(id=id))


async def test_it_goes_with_its_snapshots_to_who_has_the_key(mine: Block, theirs: Block) -> None:
    volume = await mine.make(2, name="disk")
    snapshot = await mine.snapshot(volume.id)
    offer = await offered(mine, volume.id, name="t")
    assert (await mine.get(volume.id)).status == pb.VOLUME_STATUS_AWAITING_TRANSFER
    got = await accepted(theirs, offer)
    assert (got.id, got.status, got.project_id, got.user_id) == (
        volume.id, pb.VOLUME_STATUS_AVAILABLE, theirs.caller.project_id, theirs.caller.user_id,
    )  # fmt: skip
    assert (await refused(mine.get(volume.id))).reason == "NOT_FOUND"
    assert volume.id not in await mine.ids()
    assert await theirs.ids() == {volume.id}
    moved = await theirs.snapshots.GetSnapshot(GetSnapshotRequest(id=snapshot.id))
    assert moved.project_id == theirs.caller.project_id
    assert (await refused(mine.delete_snapshot(snapshot.id))).reason == "NOT_FOUND"
    assert (await refused(accepted(theirs, offer))).reason == "NOT_FOUND"
    deleted = await theirs.delete(volume.id, with_snapshots=True)
    await theirs.operation_ended(deleted.operation_id)


async def test_nobody_else_tells_an_offer_from_nothing(mine: Block, theirs: Block, system: Block) -> None:
    volume = await mine.make()
    assert (await refused(offered(theirs, volume.id))).reason == "NOT_FOUND"
    offer = await offered(mine, volume.id)
    read = verbs.GetVolumeTransferRequest(id=offer.id)
    nothing = pb.VolumeTransfer(id=ids.new(), auth_key=offer.auth_key)
    for call in (
        theirs.transfers.GetVolumeTransfer(read),
        withdrawn(theirs, offer.id),
        accepted(theirs, offer, key="a guess"),
        accepted(theirs, nothing),
    ):
        refusal = await refused(call)
        assert (refusal.reason, refusal.metadata["resource_type"]) == ("NOT_FOUND", "volume_transfer")
    for whose, seen in ((mine, [offer.id]), (theirs, []), (system, [offer.id])):
        found = await whose.transfers.ListVolumeTransfers(verbs.ListVolumeTransfersRequest())
        assert [each.id for each in found.volume_transfers] == seen
        assert not any(each.auth_key for each in found.volume_transfers)
    assert (await mine.transfers.GetVolumeTransfer(read)).auth_key == ""
    assert (await mine.get(volume.id)).status == pb.VOLUME_STATUS_AWAITING_TRANSFER
    await accepted(theirs, offer)


async def test_an_offer_that_is_taken_back_is_over(mine: Block, theirs: Block) -> None:
    volume = await mine.make()
    offer = await offered(mine, volume.id)
    await withdrawn(mine, offer.id)
    assert (await mine.get(volume.id)).status == pb.VOLUME_STATUS_AVAILABLE
    assert (await refused(accepted(theirs, offer))).reason == "NOT_FOUND"
    again = await offered(mine, volume.id)
    assert (await accepted(theirs, again)).id == volume.id


async def test_while_it_is_offered_nothing_else_is_done_with_it(mine: Block, world: Cloud) -> None:
    volume = await mine.make()
    offer = await offered(mine, volume.id)
    for call in (
        offered(mine, volume.id),
        mine.delete(volume.id),
        mine.extend(volume.id, 2),
        mine.snapshot(volume.id),
    ):
        assert (await refused(call)).reason == "WRONG_STATUS"
    await withdrawn(mine, offer.id)
    assert (await mine.extend(volume.id, 2)).status == pb.VOLUME_STATUS_EXTENDING


async def test_what_is_read_or_deleted_is_not_given_away(mine: Block, theirs: Block, world: Cloud) -> None:
    volume = await mine.make()
    snapshot = await mine.snapshot(volume.id)
    gate = Gate()
    for host in world.hosts:
        host.fake.before["CreateVolume"] = gate
    copy = await mine.create(1, snapshot_id=snapshot.id)
    await gate.reached.wait()
    assert (await refused(offered(mine, volume.id))).reason == "IN_USE"
    gate.open()
    await mine.settled(copy.id)
    offer = await offered(mine, volume.id)
    gate = Gate()
    for host in world.hosts:
        host.fake.before["DeleteSnapshot"] = gate
    gone = await mine.delete_snapshot(snapshot.id)
    await gate.reached.wait()
    assert (await refused(accepted(theirs, offer))).reason == "WRONG_STATUS"
    gate.open()
    await mine.operation_ended(gone.operation_id)
    assert (await accepted(theirs, offer)).id == volume.id


async def test_whoever_accepts_it_must_have_room_for_it(mine: Block, theirs: Block, world: Cloud) -> None:
    volume = await mine.make(4)
    await mine.snapshot(volume.id)
    await theirs.make(3)
    offer = await offered(mine, volume.id)
    for limit, most in (("volumes", 1), ("volume_gib", 10)):
        world.house.limits.limits[limit] = most
        assert (await refused(accepted(theirs, offer))).metadata["resource"] == limit
        world.house.limits.limits[limit] = -1
    assert (await mine.get(volume.id)).project_id == mine.caller.project_id
    world.house.limits.limits["volume_gib"] = 11
    assert (await accepted(theirs, offer)).id == volume.id


async def test_of_many_who_accept_it_at_once_one_gets_it(mine: Block, world: Cloud) -> None:
    volume = await mine.make()
    offer = await offered(mine, volume.id)
    takers = [as_user(world, person(ids.new(), "member")) for _ in range(5)]
    ends = await asyncio.gather(*(accepted(taker, offer) for taker in takers), return_exceptions=True)
    assert sum(isinstance(end, pb.Volume) for end in ends) == 1
    assert {end.reason for end in ends if isinstance(end, CloudError)} == {"NOT_FOUND"}
    having = [taker for taker in takers if await taker.ids() == {volume.id}]
    assert len(having) == 1


async def test_a_call_that_is_repeated_is_made_once_and_tells_no_key(mine: Block, theirs: Block) -> None:
    volume, again = await mine.make(), ids.new()
    offer = await offered(mine, volume.id, request_id=again)
    repeated = await offered(mine, volume.id, request_id=again)
    assert (repeated.id, repeated.auth_key, bool(offer.auth_key)) == (offer.id, "", True)
    first = await accepted(theirs, offer, request_id=again)
    assert (await accepted(theirs, offer, request_id=again)).revision == first.revision


@pytest.mark.parametrize("side", ["given", "got"])
async def test_who_watches_sees_it_go_or_come(mine: Block, theirs: Block, side: str) -> None:
    volume = await mine.make()
    offer = await offered(mine, volume.id)
    whose, expected = (mine, "DELETED") if side == "given" else (theirs, "CREATED")
    watch = whose.volumes.WatchVolumes(WatchVolumesRequest(from_revision=1))
    await accepted(theirs, offer)
    async with asyncio.timeout(60):
        async for event in watch:
            if event.type == expected and event.volume.id == volume.id:
                break
