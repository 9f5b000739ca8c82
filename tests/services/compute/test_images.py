"""Servers are rebuilt from images, and images are made of servers."""

from typing import Any

import pytest

from mesh import ids
from mesh.errors import CloudError
from tests.services.compute.cloud import Cloud, status
from tests.services.compute.fakes.faults import away, broken
from weft.compute.v1.key_pair_service_pb2 import CreateKeyPairRequest
from weft.compute.v1.resources_pb2 import Server
from weft.compute.v1.server_service_pb2 import (
    LockServerRequest,
    RebuildServerRequest,
    ServerMetadata,
    SnapshotServerRequest,
    SnapshotServerResponse,
    StopServerRequest,
    UserData,
)
from weft.image.v1.resources_pb2 import ImageStatus
from weft.operation.v1.operation_pb2 import GetOperationRequest


async def _rebuilt(compute: Cloud, server: Server, **fields: Any) -> Server:
    begun = await compute.member.servers.RebuildServer(RebuildServerRequest(id=server.id, **fields))
    assert status(begun) == "REBUILDING"
    return await compute.member.settled(begun)


async def _snapped(compute: Cloud, server: Server, **fields: Any) -> SnapshotServerResponse:
    request = SnapshotServerRequest(**({"id": server.id, "name": "copy"} | fields))
    answer = await compute.member.servers.SnapshotServer(request)
    await compute.member.settled(answer.server)
    return answer


async def test_a_rebuilt_server_has_new_disks_and_keeps_all_else(compute: Cloud) -> None:
    made = await compute.member.boot(**compute.wish, user_data=b"old", metadata={"a": "1"})
    other = compute.images.add_image(compute.member.project_id, sha256="cd" * 32)
    rebuilt = await _rebuilt(compute, made, image_id=other.id)
    assert (status(rebuilt), rebuilt.image_id) == ("ACTIVE", other.id)
    kept = ("id", "name", "ports", "host_fingerprint", "flavor", "metadata")
    assert [getattr(rebuilt, name) for name in kept] == [getattr(made, name) for name in kept]
    guest = compute.host_of(made).guests[made.id]
    assert guest.state == "RUNNING"
    assert guest.spec.root_disk.image_sha256 == "cd" * 32
    assert guest.spec.metadata.user_data == b"old"
    assert "cd" * 32 in compute.host_of(made).staged
    await compute.assert_consistent()


async def test_what_it_is_told_may_change_with_its_disks(compute: Cloud) -> None:
    key = await compute.member.keys.CreateKeyPair(CreateKeyPairRequest(name="mine"))
    made = await compute.member.boot(**compute.wish, user_data=b"old", metadata={"a": "1"})
    rebuilt = await _rebuilt(
        compute,
        made,
        image_id=compute.image.id,
        name="new",
        description="anew",
        metadata=ServerMetadata(entries={"b": "2"}),
        key_name="mine",
        user_data=UserData(content=b"a secret of the tenant"),
    )
    assert (rebuilt.name, rebuilt.description, rebuilt.key_name) == ("new", "anew", "mine")
    told = compute.host_of(made).metadata(made.id)
    assert (told.user_data, dict(told.metadata)) == (b"a secret of the tenant", {"b": "2"})
    assert told.public_keys["mine"] == key.public_key
    again = await _rebuilt(compute, made, image_id=compute.image.id, key_name="", metadata=ServerMetadata())
    assert (again.key_name, dict(again.metadata)) == ("", {})
    assert compute.host_of(made).metadata(made.id).user_data == b"a secret of the tenant"
    none = await _rebuilt(compute, made, image_id=compute.image.id, user_data=UserData())
    assert compute.host_of(none).metadata(made.id).user_data == b""


async def test_user_data_of_a_rebuild_is_in_no_operation(compute: Cloud) -> None:
    made = await compute.member.boot(**compute.wish)
    request = RebuildServerRequest(id=made.id, image_id=compute.image.id)
    request.user_data.content = b"a secret of the tenant"
    begun = await compute.member.servers.RebuildServer(request)
    await compute.member.settled(begun)
    operation = await compute.member.operations.GetOperation(GetOperationRequest(id=begun.operation_id))
    assert b"secret" not in operation.SerializeToString()
    kept = await compute.runtime.database.read(
        lambda c: [str(row) for row in c.exec_driver_sql("SELECT input FROM operations")]
    )
    assert kept
    assert "secret" not in str(kept)


async def test_a_stopped_server_stays_off_and_one_that_cannot_start_says_why(compute: Cloud) -> None:
    made = await compute.member.boot(**compute.wish)
    await compute.member.settled(await compute.member.servers.StopServer(StopServerRequest(id=made.id)))
    assert status(await _rebuilt(compute, made, image_id=compute.image.id)) == "STOPPED"
    assert compute.host_of(made).guests[made.id].state == "SHUTOFF"
    running = await compute.member.boot(**compute.wish)
    compute.host_of(running).fail("StartGuest", away(), broken("It does not start."))
    ended = await _rebuilt(compute, running, image_id=compute.image.id)
    assert (status(ended), ended.status_reason) == ("STOPPED", "It does not start.")


async def test_a_rebuild_that_fails_keeps_what_the_server_was(compute: Cloud) -> None:
    made = await compute.member.boot(**compute.wish)
    other = compute.images.add_image(compute.member.project_id)
    compute.host_of(made).fail("RebuildGuest", broken("The disk is full."))
    user_data = UserData(content=b"new")
    kept = await _rebuilt(compute, made, image_id=other.id, name="new", user_data=user_data)
    assert (status(kept), kept.name, kept.image_id) == ("ACTIVE", "web", compute.image.id)
    assert kept.status_reason == "The disk is full."
    await compute.assert_consistent()


async def test_what_cannot_be_rebuilt_is_refused_before_anything_happens(compute: Cloud) -> None:
    made = await compute.member.boot(**compute.wish)
    volume = compute.block.add_volume(compute.member.project_id, bootable=True)
    by_volume = await compute.member.boot(name="v", flavor_id=compute.flavor.id, volume_id=volume.id)
    large = compute.images.add_image(compute.member.project_id, virtual_size_bytes=9 << 30)
    queued = compute.images.add_image(compute.member.project_id, status=ImageStatus.IMAGE_STATUS_QUEUED)
    foreign = compute.images.add_image(compute.stranger.project_id)
    for server, image, reason in (
        (made, large, "INVALID_ARGUMENT"),
        (made, queued, "WRONG_STATUS"),
        (made, foreign, "NOT_FOUND"),
        (by_volume, compute.image, "UNSUPPORTED"),
    ):
        with pytest.raises(CloudError) as refused:
            await _rebuilt(compute, server, image_id=image.id)
        assert refused.value.reason == reason
        assert status(await compute.member.get(server.id)) == "ACTIVE"


async def test_an_image_is_made_of_a_server_that_runs_on(compute: Cloud) -> None:
    compute.image.properties["os"] = "tiny"
    made = await compute.member.boot(**compute.wish)
    await compute.member.servers.LockServer(LockServerRequest(id=made.id))  # nothing of it is changed
    request_id = ids.new()
    for _ in range(2):
        answer = await _snapped(compute, made, request_id=request_id, properties={"k": "v"})
    image = compute.images.images[answer.image_id]
    assert (image.name, image.status) == ("copy", ImageStatus.IMAGE_STATUS_ACTIVE)
    assert image.project_id == compute.member.project_id
    assert (image.properties["os"], image.properties["k"]) == ("tiny", "v")
    assert image.properties["instance_uuid"] == made.id
    assert len(compute.images.images) == 2
    assert status(await compute.member.get(made.id)) == "ACTIVE"
    await compute.assert_consistent()


async def test_the_image_is_there_as_soon_as_its_id_is_told(compute: Cloud) -> None:
    made = await compute.member.boot(**compute.wish)
    gate = compute.host_of(made).hold("SnapshotGuest")
    request = SnapshotServerRequest(id=made.id, name="copy")
    answer = await compute.member.servers.SnapshotServer(request)
    assert compute.images.images[answer.image_id].status == ImageStatus.IMAGE_STATUS_QUEUED
    assert answer.server.operation_id
    gate.set()
    await compute.member.settled(answer.server)


async def test_a_snapshot_that_fails_leaves_no_image(compute: Cloud) -> None:
    made = await compute.member.boot(**compute.wish)
    compute.host_of(made).fail("UploadSnapshot", broken("The quota is used up."))
    await _snapped(compute, made)
    assert list(compute.images.images) == [compute.image.id]
    kept = await compute.member.get(made.id)
    assert (status(kept), kept.status_reason) == ("ACTIVE", "The quota is used up.")
    await compute.assert_consistent()


async def test_what_boots_from_a_volume_is_no_image_and_anothers_server_is_not_there(compute: Cloud) -> None:
    volume = compute.block.add_volume(compute.member.project_id, bootable=True)
    made = await compute.member.boot(name="v", flavor_id=compute.flavor.id, volume_id=volume.id)
    with pytest.raises(CloudError) as refused:
        await _snapped(compute, made)
    assert refused.value.reason == "UNSUPPORTED"
    own = compute.images.add_image(compute.stranger.project_id)
    for id in (made.id, ids.new()):
        for call in (
            compute.stranger.servers.SnapshotServer(SnapshotServerRequest(id=id, name="x")),
            compute.stranger.servers.RebuildServer(RebuildServerRequest(id=id, image_id=own.id)),
        ):
            with pytest.raises(CloudError) as refused:
                await call
            assert refused.value.reason == "NOT_FOUND"
