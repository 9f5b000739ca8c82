"""Volumes are attached to servers that are there, and detached."""

import asyncio

import pytest

from mesh.errors import CloudError
from tests.services.compute.cloud import Cloud, status
from tests.services.compute.fakes.faults import broken
from weft.compute.v1.resources_pb2 import Server
from weft.compute.v1.server_service_pb2 import (
    AttachVolumeRequest,
    DetachVolumeRequest,
    LockServerRequest,
    MigrateServerRequest,
    RevertResizeRequest,
    StopServerRequest,
    UpdateServerVolumeRequest,
)


async def _attached(compute: Cloud, server: Server, volume_id: str, **fields: object) -> Server:
    request = AttachVolumeRequest(id=server.id, volume_id=volume_id, **fields)
    return await compute.member.settled(await compute.member.servers.AttachVolume(request))


async def _detached(compute: Cloud, server: Server, volume_id: str) -> Server:
    request = DetachVolumeRequest(id=server.id, volume_id=volume_id)
    return await compute.member.settled(await compute.member.servers.DetachVolume(request))


async def test_a_volume_is_attached_and_detached(compute: Cloud) -> None:
    made = await compute.member.boot(**compute.wish)
    volume = compute.block.add_volume(compute.member.project_id)
    having = await _attached(compute, made, volume.id)
    assert [(v.volume_id, v.device) for v in having.volumes] == [(volume.id, "vdb")]
    assert compute.block.status_of(volume.id) == "IN_USE"
    await compute.assert_consistent()
    without = await _detached(compute, made, volume.id)
    assert (status(without), list(without.volumes)) == ("ACTIVE", [])
    assert compute.block.status_of(volume.id) == "AVAILABLE"
    await compute.assert_consistent()


async def test_a_stopped_server_takes_a_volume_too(compute: Cloud) -> None:
    made = await compute.member.boot(**compute.wish)
    await compute.member.settled(await compute.member.servers.StopServer(StopServerRequest(id=made.id)))
    volume = compute.block.add_volume(compute.member.project_id)
    having = await _attached(compute, made, volume.id, delete_on_termination=True)
    assert (status(having), len(having.volumes)) == ("STOPPED", 1)
    await compute.member.delete(made)
    assert compute.block.volumes == {}


async def test_a_volume_is_attached_once(compute: Cloud) -> None:
    made = await compute.member.boot(**compute.wish)
    volume = compute.block.add_volume(compute.member.project_id)
    await _attached(compute, made, volume.id)
    with pytest.raises(CloudError, match="IN_USE") as refused:
        await _attached(compute, made, volume.id)
    assert refused.value.metadata["resource_type"] == "volume"


async def test_two_volumes_at_once_are_attached_one_after_the_other(compute: Cloud) -> None:
    made = await compute.member.boot(**compute.wish)
    volumes = [compute.block.add_volume(compute.member.project_id) for _ in range(2)]
    await asyncio.gather(*(_attached(compute, made, volume.id) for volume in volumes))
    having = await compute.member.get(made.id)
    assert {volume.volume_id for volume in having.volumes} == {volume.id for volume in volumes}
    await compute.assert_consistent()


async def test_the_volume_that_it_boots_from_stays(compute: Cloud) -> None:
    boot = compute.block.add_volume(compute.member.project_id, bootable=True)
    made = await compute.member.boot(name="db", flavor_id=compute.flavor.id, volume_id=boot.id)
    with pytest.raises(CloudError, match="boots from") as refused:
        await _detached(compute, made, boot.id)
    assert refused.value.reason == "WRONG_STATUS"


async def test_a_guest_that_does_not_let_go_keeps_its_volume(compute: Cloud) -> None:
    made = await compute.member.boot(**compute.wish)
    volume = compute.block.add_volume(compute.member.project_id)
    await _attached(compute, made, volume.id)
    compute.host_of(made).fail("DetachVolume", broken("The guest does not let go."))
    kept = await _detached(compute, made, volume.id)
    assert (status(kept), kept.status_reason) == ("ACTIVE", "The guest does not let go.")
    assert compute.block.status_of(volume.id) == "IN_USE"
    await compute.assert_consistent()


async def test_a_guest_that_does_not_take_it_leaves_it_available(compute: Cloud) -> None:
    made = await compute.member.boot(**compute.wish)
    volume = compute.block.add_volume(compute.member.project_id)
    compute.host_of(made).fail("AttachVolume", broken("No slot is left."))
    without = await _attached(compute, made, volume.id)
    assert (list(without.volumes), without.status_reason) == ([], "No slot is left.")
    await compute.assert_consistent()


async def test_a_volume_that_it_has_not_cannot_be_detached(compute: Cloud) -> None:
    made = await compute.member.boot(**compute.wish)
    volume = compute.block.add_volume(compute.member.project_id)
    with pytest.raises(CloudError) as refused:
        await _detached(compute, made, volume.id)
    assert refused.value.reason == "NOT_FOUND"


async def _ends(compute: Cloud, server: Server, volume_id: str, *, ends: bool) -> Server:
    request = UpdateServerVolumeRequest(id=server.id, volume_id=volume_id, delete_on_termination=ends)
    return await compute.member.servers.UpdateServerVolume(request)


@pytest.mark.parametrize("ends", [True, False], ids=["goes", "stays"])
async def test_a_volume_that_was_there_goes_with_the_server_that_it_boots_if_that_was_asked_for(
    compute: Cloud, ends: bool
) -> None:
    boot = compute.block.add_volume(compute.member.project_id, bootable=True)
    wish = {"name": "db", "flavor_id": compute.flavor.id, "volume_id": boot.id}
    made = await compute.member.boot(**wish, delete_volume_on_termination=ends)
    assert [(v.boot, v.delete_on_termination) for v in made.volumes] == [(True, ends)]
    await compute.member.delete(made)
    assert (boot.id in compute.block.volumes) is not ends


async def test_it_is_not_asked_for_of_a_volume_that_is_not_named(compute: Cloud) -> None:
    with pytest.raises(CloudError) as refused:
        await compute.member.boot(**compute.wish, delete_volume_on_termination=True)
    assert (refused.value.reason, set(refused.value.fields)) == (
        "INVALID_ARGUMENT",
        {"delete_volume_on_termination"},
    )


@pytest.mark.parametrize("ends", [True, False], ids=["goes", "stays"])
async def test_what_was_said_last_decides_whether_it_goes(compute: Cloud, ends: bool) -> None:
    made = await compute.member.boot(**compute.wish)
    volume = compute.block.add_volume(compute.member.project_id)
    await _attached(compute, made, volume.id, delete_on_termination=not ends)
    changed = await _ends(compute, made, volume.id, ends=ends)
    assert [v.delete_on_termination for v in changed.volumes] == [ends]
    await compute.assert_consistent()
    await compute.member.delete(made)
    assert (volume.id in compute.block.volumes) is not ends


async def test_it_is_said_of_what_a_resize_may_be_reverted_to_too(compute: Cloud) -> None:
    made = await compute.member.boot(**compute.wish)
    volume = compute.block.add_volume(compute.member.project_id)
    await _attached(compute, made, volume.id)
    await compute.member.settled(await compute.admin.servers.MigrateServer(MigrateServerRequest(id=made.id)))
    await _ends(compute, made, volume.id, ends=True)
    reverting = await compute.member.servers.RevertResize(RevertResizeRequest(id=made.id))
    reverted = await compute.member.settled(reverting)
    assert [v.delete_on_termination for v in reverted.volumes] == [True]
    await compute.assert_consistent()


async def test_nobody_changes_it_of_a_server_that_is_anothers_locked_or_has_it_not(compute: Cloud) -> None:
    made = await compute.member.boot(**compute.wish)
    volume = compute.block.add_volume(compute.member.project_id)
    with pytest.raises(CloudError, match="volume") as refused:
        await _ends(compute, made, volume.id, ends=True)
    assert refused.value.reason == "NOT_FOUND"
    await _attached(compute, made, volume.id)
    request = UpdateServerVolumeRequest(id=made.id, volume_id=volume.id, delete_on_termination=True)
    with pytest.raises(CloudError, match="server") as refused:
        await compute.stranger.servers.UpdateServerVolume(request)
    assert refused.value.reason == "NOT_FOUND"
    await compute.member.servers.LockServer(LockServerRequest(id=made.id))
    with pytest.raises(CloudError) as refused:
        await compute.member.servers.UpdateServerVolume(request)
    assert refused.value.reason == "LOCKED"
    await compute.admin.servers.UpdateServerVolume(request)
