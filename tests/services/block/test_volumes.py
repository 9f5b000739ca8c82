"""Volumes: made in the right pool, seen by their project, extended, copied, deleted."""

import asyncio
from datetime import timedelta
from typing import Any

import pytest
from google.protobuf.field_mask_pb2 import FieldMask

from mesh import clock, ids
from mesh.errors import CloudError
from tests.services.block.conftest import GIB, Block, Cloud, as_user
from tests.services.block.fakes import Gate, failing
from tests.services.harness import person, until
from weft.block.v1 import resources_pb2 as pb
from weft.block.v1 import volume_service_pb2 as verbs
from weft.compute.v1.resources_pb2 import Server
from weft.image.v1 import resources_pb2 as image_pb
from weft.operation.v1 import operation_pb2


async def refused(call: Any) -> CloudError:
    """The error that the call ends with."""
    with pytest.raises(CloudError) as refusal:
        await call
    return refusal.value


def image(**changes: Any) -> image_pb.Image:
    """An ACTIVE image of 3 GiB."""
    described = {
        "id": ids.new(), "status": image_pb.IMAGE_STATUS_ACTIVE, "disk_format": image_pb.DISK_FORMAT_QCOW2,
        "size_bytes": 1000, "virtual_size_bytes": 2 * GIB + 1, "sha256": "ab" * 32, **changes,
    }  # fmt: skip
    return image_pb.Image(**described)


async def test_a_volume_is_creating_and_then_available_on_a_host(mine: Block, world: Cloud) -> None:
    asked = await mine.create(2, name="data", description="d", metadata={"k": "v"})
    assert asked.status == pb.VOLUME_STATUS_CREATING
    operation = await mine.operation_ended(asked.operation_id)
    assert (operation.kind, operation.target_id) == ("volume.create", asked.id)
    volume = await mine.get(asked.id)
    assert volume.status == pb.VOLUME_STATUS_AVAILABLE
    assert (volume.name, volume.metadata, volume.bootable) == ("data", {"k": "v"}, False)
    assert volume.user_id == mine.caller.user_id
    kept = [host.fake.volumes[asked.id] for host in world.hosts if asked.id in host.fake.volumes]
    assert [made.size_bytes for made in kept] == [2 * GIB]


async def test_where_it_is_kept_only_administrators_see(mine: Block, system: Block) -> None:
    volume = await mine.make()
    assert volume.pool_id == ""
    assert (await system.get(volume.id)).pool_id != ""


async def test_another_projects_volume_is_as_unknown_as_one_that_never_was(
    mine: Block, theirs: Block
) -> None:
    volume, nowhere = await mine.make(), ids.new()
    for call in (
        theirs.get,
        theirs.delete,
        theirs.snapshot,
        lambda id: theirs.extend(id, 5),
        lambda id: theirs.create(1, source_volume_id=id),
    ):
        hidden, unknown = await refused(call(volume.id)), await refused(call(nowhere))
        assert hidden.reason == unknown.reason == "NOT_FOUND"
        assert hidden.message.replace(volume.id, nowhere) == unknown.message
    assert await theirs.ids() == set()
    assert await mine.ids() == {volume.id}


async def test_an_empty_volume_needs_a_size(mine: Block) -> None:
    assert "size_gib" in (await refused(mine.create(0))).fields


async def test_a_volume_belongs_to_a_project(system: Block) -> None:
    assert "project_id" in (await refused(system.create(1))).fields


async def test_a_volume_from_an_image_is_bootable_and_holds_it(mine: Block, world: Cloud) -> None:
    source = image(min_disk_gib=2)
    world.images.images[source.id] = source
    assert "size_gib" in (await refused(mine.create(2, image_id=source.id))).fields
    volume = await mine.make(0, image_id=source.id)
    assert (volume.size_gib, volume.bootable, volume.image_id) == (3, True, source.id)
    assert {host.fake.sources.get(volume.id) for host in world.hosts} == {"image", None}
    keeper = next(host for host in world.hosts if volume.id in host.fake.sources)
    assert keeper.fake.grants[volume.id] == f"{keeper.id} {source.sha256}".encode()


async def test_an_image_must_be_there_and_active(mine: Block, world: Cloud) -> None:
    queued = image(status=image_pb.IMAGE_STATUS_QUEUED)
    world.images.images[queued.id] = queued
    assert (await refused(mine.create(5, image_id=queued.id))).reason == "WRONG_STATUS"
    assert (await refused(mine.create(5, image_id=ids.new()))).reason == "NOT_FOUND"


async def test_a_copy_is_made_where_its_source_is(mine: Block, system: Block, world: Cloud) -> None:
    volume = await mine.make(2)
    snapshot = await mine.snapshot(volume.id)
    assert (snapshot.status, snapshot.size_gib) == (pb.SNAPSHOT_STATUS_AVAILABLE, 2)
    of_snapshot = await mine.make(0, snapshot_id=snapshot.id)
    of_volume = await mine.make(3, source_volume_id=volume.id)
    assert of_volume.source_volume_id == volume.id
    assert (of_snapshot.size_gib, of_volume.size_gib) == (2, 3)
    assert of_snapshot.snapshot_id == snapshot.id
    pools = {(await system.get(id)).pool_id for id in (volume.id, of_snapshot.id, of_volume.id)}
    assert len(pools) == 1
    assert "size_gib" in (await refused(mine.create(1, snapshot_id=snapshot.id))).fields


async def test_a_source_is_not_taken_away_while_it_is_copied(mine: Block, world: Cloud) -> None:
    volume = await mine.make()
    snapshot = await mine.snapshot(volume.id)
    gate = Gate()
    for host in world.hosts:
        host.fake.before["CreateVolume"] = gate
    copies = [await mine.create(1, source_volume_id=volume.id), await mine.create(1, snapshot_id=snapshot.id)]
    await gate.reached.wait()
    compute_wants = mine.reserve(volume.id, world.hosts[0].id)
    assert (await refused(compute_wants)).reason == "AUDIENCE_REFUSED"
    assert (await refused(mine.delete(volume.id))).reason == "IN_USE"
    assert (await refused(mine.delete(volume.id, with_snapshots=True))).reason == "IN_USE"
    assert (await refused(mine.extend(volume.id, 2))).reason == "IN_USE"
    assert (await refused(mine.delete_snapshot(snapshot.id))).reason == "IN_USE"
    gate.open()
    for copy in copies:
        assert (await mine.settled(copy.id)).status == pb.VOLUME_STATUS_AVAILABLE
    await mine.operation_ended((await mine.delete_snapshot(snapshot.id)).operation_id)
    await mine.operation_ended((await mine.delete(volume.id)).operation_id)
    assert volume.id not in await mine.ids()


async def test_the_pool_that_is_near_is_taken_or_else_the_emptiest(
    mine: Block, system: Block, world: Cloud
) -> None:
    first, second = world.hosts
    near = await mine.make(10, near_host_id=first.id)
    assert (await system.get(near.id)).pool_id == first.pool_id
    assert (await system.get((await mine.make(1)).id)).pool_id == second.pool_id
    server = Server(id=ids.new(), host_id=first.id)
    world.servers.servers[server.id] = server
    by_server = await mine.make(1, near_server_id=server.id)
    assert (await system.get(by_server.id)).pool_id == first.pool_id
    assert (await refused(mine.create(1, near_server_id=ids.new()))).reason == "NOT_FOUND"
    full = await mine.make(95, near_host_id=first.id)
    assert (await system.get(full.id)).pool_id == second.pool_id


async def test_without_room_a_volume_is_refused_at_once(mine: Block) -> None:
    refusal = await refused(mine.create(101))
    assert refusal.reason == "STORAGE_FULL"
    assert refusal.metadata == {"needed_bytes": str(101 * GIB), "free_bytes": str(100 * GIB)}


async def test_a_pool_whose_host_is_silent_takes_nothing(mine: Block, world: Cloud) -> None:
    late = clock.now() + timedelta(minutes=4)
    with clock.told_by(lambda: late):
        assert (await refused(mine.create(1))).reason == "UNAVAILABLE"
        await world.register(world.hosts[0])
        assert (await mine.make(1)).status == pb.VOLUME_STATUS_AVAILABLE


async def test_volumes_at_once_cannot_pass_the_quota_or_the_room_together(mine: Block, world: Cloud) -> None:
    world.house.limits.limits["volumes"] = 5
    ends = await asyncio.gather(*(mine.create(1) for _ in range(20)), return_exceptions=True)
    assert sum(isinstance(end, pb.Volume) for end in ends) == 5
    assert {end.reason for end in ends if isinstance(end, CloudError)} == {"QUOTA_EXCEEDED"}
    rich = as_user(world, person(ids.new(), "member"))
    world.house.limits.limits["volumes"] = -1
    ends = await asyncio.gather(*(rich.create(30) for _ in range(20)), return_exceptions=True)
    assert sum(isinstance(end, pb.Volume) for end in ends) == 6
    assert {end.reason for end in ends if isinstance(end, CloudError)} == {"STORAGE_FULL"}


async def test_gib_are_counted_over_volumes_snapshots_and_extensions(mine: Block, world: Cloud) -> None:
    world.house.limits.limits["volume_gib"] = 10
    volume = await mine.make(4)
    assert (await refused(mine.create(7))).metadata["resource"] == "volume_gib"
    await mine.snapshot(volume.id)
    assert (await refused(mine.extend(volume.id, 7))).reason == "QUOTA_EXCEEDED"
    assert (await mine.extend(volume.id, 6)).status == pb.VOLUME_STATUS_EXTENDING
    assert (await mine.settled(volume.id)).size_gib == 6
    assert (await refused(mine.create(1))).reason == "QUOTA_EXCEEDED"


async def test_a_volume_only_grows(mine: Block, world: Cloud) -> None:
    volume = await mine.make(2)
    assert "size_gib" in (await refused(mine.extend(volume.id, 2))).fields
    await mine.extend(volume.id, 5)
    assert (await mine.settled(volume.id)).size_gib == 5
    assert any(
        host.fake.volumes[volume.id].size_bytes == 5 * GIB
        for host in world.hosts
        if volume.id in host.fake.volumes
    )


async def test_a_volume_with_snapshots_is_not_deleted(mine: Block, world: Cloud) -> None:
    volume = await mine.make()
    snapshot = await mine.snapshot(volume.id)
    refusal = await refused(mine.delete(volume.id))
    assert (refusal.reason, refusal.metadata["used_by_id"]) == ("IN_USE", snapshot.id)
    await mine.operation_ended((await mine.delete_snapshot(snapshot.id)).operation_id)
    deleted = await mine.delete(volume.id)
    assert deleted.status == pb.VOLUME_STATUS_DELETING
    await mine.operation_ended(deleted.operation_id)
    assert (await refused(mine.get(volume.id))).reason == "NOT_FOUND"
    assert all(host.fake.is_empty for host in world.hosts)


async def test_it_is_deleted_with_its_snapshots_where_that_was_asked_for(mine: Block, world: Cloud) -> None:
    volume, other = await mine.make(), await mine.make()
    kept = await mine.snapshot(other.id)
    snapshots = [await mine.snapshot(volume.id) for _ in range(2)]
    gate = Gate()
    for host in world.hosts:
        host.fake.before["DeleteSnapshot"] = gate
    deleted = await mine.delete(volume.id, with_snapshots=True)
    await gate.reached.wait()
    for snapshot in snapshots:
        refusal = await refused(mine.delete_snapshot(snapshot.id))
        assert (refusal.reason, refusal.metadata["status"]) == ("WRONG_STATUS", "DELETING")
    gate.open()
    await mine.operation_ended(deleted.operation_id)
    assert (await refused(mine.get(volume.id))).reason == "NOT_FOUND"
    for snapshot in snapshots:
        assert (await refused(mine.delete_snapshot(snapshot.id))).reason == "NOT_FOUND"
    await mine.operation_ended((await mine.delete_snapshot(kept.id)).operation_id)


async def test_deleting_nothing_succeeds_where_that_was_asked_for(mine: Block) -> None:
    await mine.volumes.DeleteVolume(verbs.DeleteVolumeRequest(id=ids.new(), allow_missing=True))


async def test_what_is_under_way_keeps_others_off(mine: Block, world: Cloud) -> None:
    gate = Gate()
    for host in world.hosts:
        host.fake.before["CreateVolume"] = gate
    volume = await mine.create(1)
    for call in (mine.delete(volume.id), mine.extend(volume.id, 2), mine.snapshot(volume.id)):
        refusal = await refused(call)
        assert (refusal.reason, refusal.metadata["status"]) == ("WRONG_STATUS", "CREATING")
    gate.open()
    assert (await mine.settled(volume.id)).status == pb.VOLUME_STATUS_AVAILABLE


async def test_a_volume_that_cannot_be_made_says_why_takes_no_room_and_can_be_deleted(
    mine: Block, system: Block, world: Cloud
) -> None:
    for host in world.hosts:
        host.fake.before["CreateVolume"] = failing("STORAGE_FULL")
    volume = await mine.make(1)
    assert (volume.status, volume.status_reason) == (pb.VOLUME_STATUS_ERROR, "The test says STORAGE_FULL.")
    assert (await system.get(volume.id)).pool_id == ""
    await mine.operation_ended((await mine.delete(volume.id)).operation_id)
    assert await mine.ids() == set()
    assert all(host.fake.is_empty for host in world.hosts)


async def test_a_host_that_does_not_answer_is_named_by_its_id_and_undone_when_it_is_back(
    mine: Block, world: Cloud
) -> None:
    for host in world.hosts:
        await world.register(host, host_address="127.0.0.1:1")
    volume = await mine.create(1)
    request = operation_pb2.GetOperationRequest(id=volume.operation_id)
    unwinding = operation_pb2.OPERATION_STATE_UNWINDING

    async def turned_back() -> bool:
        return (await mine.operations.GetOperation(request)).state == unwinding

    await until(turned_back)
    error = (await mine.operations.GetOperation(request)).error
    assert error.reason == "HOST_UNAVAILABLE"
    assert error.metadata["host_id"] in {host.id for host in world.hosts}
    assert "127.0.0.1" not in error.message
    assert (await mine.get(volume.id)).status == pb.VOLUME_STATUS_CREATING
    for host in world.hosts:
        await world.register(host)
    assert (await mine.settled(volume.id)).status == pb.VOLUME_STATUS_ERROR


async def test_an_update_changes_what_its_mask_names(mine: Block) -> None:
    volume = await mine.make(name="a")

    async def update(paths: list[str], revision: int = 0, **fields: Any) -> pb.Volume:
        mask = FieldMask(paths=paths)
        return await mine.volumes.UpdateVolume(
            verbs.UpdateVolumeRequest(
                id=volume.id, volume=pb.Volume(**fields), update_mask=mask, expected_revision=revision
            )
        )

    changed = await update(["name", "bootable"], name="b", bootable=True, description="ignored")
    assert (changed.name, changed.bootable, changed.description) == ("b", True, "")
    assert (await refused(update(["size_gib"], size_gib=5))).reason == "INVALID_ARGUMENT"
    assert (await refused(update(["name"], volume.revision, name="c"))).reason == "REVISION_MISMATCH"


async def test_a_replayed_creation_makes_one_volume_even_when_its_image_is_gone(
    mine: Block, world: Cloud
) -> None:
    source, request_id = image(), ids.new()
    world.images.images[source.id] = source
    first = await mine.create(5, image_id=source.id, request_id=request_id)
    await mine.settled(first.id)
    del world.images.images[source.id]
    assert (await mine.create(5, image_id=source.id, request_id=request_id)).id == first.id
    assert (await refused(mine.create(6, request_id=request_id))).reason == "REQUEST_ID_REUSED"
    assert await mine.ids() == {first.id}


async def test_a_validation_alone_leaves_nothing(mine: Block, world: Cloud) -> None:
    assert (await mine.create(3, validate_only=True)).size_gib == 3
    assert (await refused(mine.create(500, validate_only=True))).reason == "STORAGE_FULL"
    assert await mine.ids() == set()
    assert all(host.fake.is_empty for host in world.hosts)


async def test_lists_filter_and_come_in_pages(mine: Block) -> None:
    made = [await mine.make(1, name=f"n{number % 2}") for number in range(5)]
    assert await mine.ids(name="n1") == {made[1].id, made[3].id}
    assert await mine.ids(statuses=[pb.VOLUME_STATUS_ERROR]) == set()
    assert "project_id" in (await refused(mine.ids(project_id=ids.new()))).fields
    names, token = [], ""
    while True:
        page = await mine.volumes.ListVolumes(verbs.ListVolumesRequest(page_size=2, page_token=token))
        names += [volume.name for volume in page.volumes]
        token = page.next_page_token
        if not token:
            break
    assert names == ["n0", "n1", "n0", "n1", "n0"]


async def test_watchers_see_their_own_volumes_without_where_they_are(mine: Block, theirs: Block) -> None:
    own = await mine.make(name="own")
    seen = []

    async def watch() -> None:
        async for event in mine.volumes.WatchVolumes(verbs.WatchVolumesRequest(from_revision=1)):
            seen.append((event.type, event.volume.name, event.volume.pool_id))
            if event.type == "DELETED":
                return

    await theirs.make(name="secret")
    watching = asyncio.create_task(watch())
    await mine.delete(own.id)
    async with asyncio.timeout(10):
        await watching
    assert {name for _, name, _ in seen} == {"own"}
    assert {pool for _, _, pool in seen} == {""}
    assert seen[-1][0] == "DELETED"


@pytest.mark.parametrize(
    "fields",
    [
        {"name": "n" * 10_000},
        {"size_gib": -1},
        {"size_gib": 1 << 30},
        {"image_id": "../../etc/passwd"},
        {"volume_type_id": "no uuid"},
        {"metadata": {"k": "v" * 300}},
        {"near_host_id": "x"},
    ],
)
async def test_a_wrong_description_is_refused_by_field(mine: Block, fields: dict[str, Any]) -> None:
    refusal = await refused(mine.create(**{"size_gib": 1, **fields}))
    assert refusal.reason == "INVALID_ARGUMENT"
    assert refusal.fields
    assert await mine.ids() == set()
