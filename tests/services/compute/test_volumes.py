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
    StopServerRequest,
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
