"""Contents arrive whole and once, or not at all."""

import asyncio
import os
import subprocess
import tempfile
from collections.abc import AsyncIterator, Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from msgspec import structs

from mesh import clock
from mesh.certificates import Authority
from mesh.errors import CloudError
from mesh.settings import Image, Settings
from services.image import model, reconcile, store, taking
from services.image.__main__ import build
from tests.services.harness import House, house, person, until
from tests.services.image.conftest import Images, digest, files, messages
from tests.services.image.test_formats import iso, qcow2
from weft.image.v1 import image_service_pb2 as verbs
from weft.image.v1 import resources_pb2 as pb
from weft.image.v1.image_service_pb2_grpc import ImageServiceStub

MIB = 1 << 20
DATA = os.urandom(3 * MIB + 17)


async def test_an_image_is_active_with_its_digests_and_comes_back_as_it_went(
    either: Images, store: Path
) -> None:
    image = await either.make(DATA, name="disk")
    assert image.status == pb.IMAGE_STATUS_ACTIVE
    assert (image.size_bytes, image.virtual_size_bytes) == (len(DATA), len(DATA))
    assert image.sha256 == digest(DATA)
    assert len(image.sha512) == 128
    assert files(store) == {digest(DATA)}
    assert await either.content(image.id) == DATA


@pytest.mark.parametrize(
    ("offset", "length"), [(0, 1), (17, 0), (MIB - 1, 2), (2 * MIB, 10 * MIB), (len(DATA), 0)]
)
async def test_a_download_may_be_a_range(either: Images, offset: int, length: int) -> None:
    image = await either.make(DATA)
    expected = DATA[offset : offset + length] if length else DATA[offset:]
    assert await either.content(image.id, offset=offset, length=length) == expected


async def test_a_range_that_begins_beyond_the_end_is_refused(either: Images) -> None:
    image = await either.make(DATA)
    with pytest.raises(CloudError) as refusal:
        await either.content(image.id, offset=len(DATA) + 1)
    assert "offset" in refusal.value.fields


@pytest.mark.parametrize("piece", [1000, 65536, 4 << 20])
async def test_pieces_of_any_size_make_the_same_image(either: Images, piece: int) -> None:
    data = DATA[: 200 * piece] if piece < 65536 else DATA
    image = await either.upload((await either.create()).id, data, piece)
    assert image.sha256 == digest(data)


async def test_a_qcow2_and_an_iso_are_taken_for_what_they_are(mine: Images) -> None:
    disk = await mine.make(qcow2(), format=pb.DISK_FORMAT_QCOW2)
    assert disk.virtual_size_bytes == 1 << 30
    assert (await mine.make(iso(), format=pb.DISK_FORMAT_ISO)).status == pb.IMAGE_STATUS_ACTIVE


async def test_a_refused_content_leaves_nothing_and_the_image_can_be_uploaded_again(
    either: Images, store: Path
) -> None:
    image = await either.create(format=pb.DISK_FORMAT_QCOW2)
    with pytest.raises(CloudError) as refusal:
        await either.upload(image.id, qcow2(backing_offset=512, backing_size=11))
    assert refusal.value.reason == "IMAGE_REFUSED"
    after = await either.get(image.id)
    assert after.status == pb.IMAGE_STATUS_QUEUED
    assert "backing file" in after.status_reason
    assert files(store) == set()
    assert (await either.upload(image.id, qcow2())).status == pb.IMAGE_STATUS_ACTIVE


async def test_a_content_with_another_digest_than_promised_is_refused(either: Images, store: Path) -> None:
    image = await either.create(sha256=digest(DATA))
    with pytest.raises(CloudError) as refusal:
        await either.upload(image.id, DATA[:-1])
    assert refusal.value.reason == "CONTENT_MISMATCH"
    assert refusal.value.metadata["expected"] == digest(DATA)
    assert files(store) == set()
    assert (await either.upload(image.id, DATA)).sha256 == digest(DATA)


async def test_an_upload_of_nothing_is_incomplete(either: Images) -> None:
    image = await either.create()
    with pytest.raises(CloudError) as refusal:
        await either.upload(image.id, b"")
    assert refusal.value.reason == "UPLOAD_INCOMPLETE"
    assert refusal.value.metadata == {"received_bytes": "0"}


async def test_an_upload_must_say_first_which_image_it_is_for(mine: Images) -> None:
    async def nameless() -> AsyncIterator[verbs.UploadImageRequest]:
        yield verbs.UploadImageRequest()

    with pytest.raises(CloudError) as refusal:
        await mine.stub.UploadImage(nameless())
    assert "id" in refusal.value.fields


async def test_an_upload_that_is_cut_leaves_the_image_queued_and_nothing_behind(
    mine: Images, store: Path
) -> None:
    image = await mine.create()
    sent = asyncio.Event()

    async def cut() -> AsyncIterator[verbs.UploadImageRequest]:
        async for message in messages(image.id, DATA):
            yield message
        sent.set()
        await asyncio.sleep(60)

    uploading = asyncio.create_task(mine.stub.UploadImage(cut()))
    await sent.wait()
    await until(lambda: _is(mine, image.id, pb.IMAGE_STATUS_SAVING))
    uploading.cancel()
    await asyncio.wait([uploading])
    await until(lambda: _is(mine, image.id, pb.IMAGE_STATUS_QUEUED))
    assert "cut" in (await mine.get(image.id)).status_reason
    assert files(store) == set()


async def test_an_uploader_that_falls_silent_is_given_up(
    mine: Images, store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(taking, "STALL", 0.2)
    image = await mine.create()

    async def silent() -> AsyncIterator[verbs.UploadImageRequest]:
        async for message in messages(image.id, DATA):
            yield message
        await asyncio.sleep(60)

    with pytest.raises(CloudError) as refusal:
        await mine.stub.UploadImage(silent())
    assert refusal.value.reason == "UPLOAD_INCOMPLETE"
    assert (await mine.get(image.id)).status == pb.IMAGE_STATUS_QUEUED
    assert files(store) == set()


async def test_of_many_uploads_at_once_one_wins(either: Images, store: Path) -> None:
    image = await either.create()
    contents = [bytes([number]) * MIB for number in range(20)]
    ends = await asyncio.gather(*(either.upload(image.id, data) for data in contents), return_exceptions=True)
    won = [end for end in ends if isinstance(end, pb.Image)]
    lost = [end for end in ends if isinstance(end, CloudError)]
    assert len(won) == 1
    assert {error.reason for error in lost} == {"WRONG_STATUS"}
    assert files(store) == {won[0].sha256}


async def test_an_active_image_takes_no_other_content(either: Images) -> None:
    image = await either.make(DATA)
    with pytest.raises(CloudError) as refusal:
        await either.upload(image.id, DATA)
    assert refusal.value.reason == "WRONG_STATUS"
    assert refusal.value.metadata["status"] == "ACTIVE"


async def test_the_same_content_is_kept_once_until_its_last_image_goes(
    mine: Images, theirs: Images, store: Path
) -> None:
    images = await asyncio.gather(*(who.make(DATA) for who in (mine, theirs, mine)))
    assert files(store) == {digest(DATA)}
    await mine.delete(images[0].id)
    await mine.delete(images[2].id)
    assert await theirs.content(images[1].id) == DATA
    await theirs.delete(images[1].id)
    assert files(store) == set()


async def test_deleting_and_uploading_the_same_content_at_once_never_loses_it(
    either: Images, store: Path
) -> None:
    for _ in range(5):
        old, new = await either.make(DATA), await either.create()
        await asyncio.gather(either.delete(old.id), either.upload(new.id, DATA))
        assert await either.content(new.id) == DATA
        await either.delete(new.id)
    assert files(store) == set()


async def test_a_download_under_way_outlives_the_image(mine: Images) -> None:
    image = await mine.make(DATA * 5)
    stream = mine.stub.DownloadImage(verbs.DownloadImageRequest(id=image.id))
    received = (await anext(stream)).data
    await mine.delete(image.id)
    async for body in stream:
        received += body.data
    assert received == DATA * 5


async def test_deleting_an_image_ends_an_upload_to_it(mine: Images, store: Path) -> None:
    image = await mine.create()
    going = asyncio.Event()

    async def slow() -> AsyncIterator[verbs.UploadImageRequest]:
        async for message in messages(image.id, DATA):
            yield message
        await going.wait()

    uploading = asyncio.create_task(mine.stub.UploadImage(slow()))
    await until(lambda: _is(mine, image.id, pb.IMAGE_STATUS_SAVING))
    await mine.delete(image.id)
    going.set()
    with pytest.raises(CloudError) as refusal:
        await uploading
    assert refusal.value.reason == "NOT_FOUND"
    assert files(store) == set()


async def test_quota_stops_an_upload_while_it_streams(
    cloud_house: House, either: Images, store: Path
) -> None:
    cloud_house.limits.limits["image_bytes"] = 2 * MIB
    image = await either.create()
    with pytest.raises(CloudError) as refusal:
        await either.upload(image.id, DATA)
    assert refusal.value.reason == "QUOTA_EXCEEDED"
    assert refusal.value.metadata["resource"] == "image_bytes"
    assert files(store) == set()
    assert (await either.upload(image.id, DATA[: 2 * MIB])).status == pb.IMAGE_STATUS_ACTIVE


async def test_uploads_at_once_cannot_pass_the_quota_together(cloud_house: House, either: Images) -> None:
    cloud_house.limits.limits["image_bytes"] = 2 * MIB
    images = [await either.create() for _ in range(6)]
    ends = await asyncio.gather(
        *(either.upload(image.id, os.urandom(MIB)) for image in images), return_exceptions=True
    )
    assert sum(isinstance(end, pb.Image) for end in ends) == 2
    assert {end.reason for end in ends if isinstance(end, CloudError)} == {"QUOTA_EXCEEDED"}


async def test_an_upload_whose_process_died_is_ended_after_its_lease(
    cloud_house: House, mine: Images
) -> None:
    database = cloud_house.runtimes["image"].database
    image = await mine.create()
    caller = person(mine.project_id, "member")
    dead = await database.write(store.uploads.begin, image.id, caller)
    await reconcile.end_dead_uploads(database)
    assert (await mine.get(image.id)).status == pb.IMAGE_STATUS_SAVING
    late = clock.now() + model.UPLOAD_LEASE + timedelta(seconds=1)
    with clock.told_by(lambda: late):
        await reconcile.end_dead_uploads(database)
    assert (await mine.get(image.id)).status == pb.IMAGE_STATUS_QUEUED
    content = model.Content(1, 1, "0" * 64, "0" * 128)
    with pytest.raises(CloudError, match="needs it to be SAVING"):
        await database.write(store.uploads.finish, dead, content, {})
    assert (await mine.upload(image.id, DATA)).status == pb.IMAGE_STATUS_ACTIVE


async def test_what_a_crash_left_on_the_disk_is_removed_after_the_next_start(
    cloud: Settings, authority: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reconcile, "LEFTOVERS_SECONDS", 0.1)
    root = Path(cloud.image.store)
    async with house(cloud, authority, {"image": build}) as running:
        images = _of(running)
        kept = await images.make(DATA)
    (root / "incoming" / "torn").write_bytes(b"half")
    (root / "ab").mkdir(exist_ok=True)
    (root / "ab" / ("ab" * 32)).write_bytes(b"nobody's")
    async with house(cloud, authority, {"image": build}) as running:
        images = _of(running)
        assert await images.content(kept.id) == DATA
        await until(lambda: asyncio.to_thread(lambda: files(root) == {kept.sha256}))


@pytest.fixture
def small_disk() -> Iterator[Path]:
    """A file system of 2 MiB."""
    directory = Path(tempfile.mkdtemp(prefix="weft-full-"))
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=2m", "weft-full", directory], check=True)
    yield directory
    subprocess.run(["umount", directory], check=True)
    directory.rmdir()


@pytest.mark.system
async def test_a_full_disk_is_said_and_nothing_stays(
    cloud: Settings, authority: Authority, small_disk: Path
) -> None:
    settings = structs.replace(cloud, image=Image(store=str(small_disk / "images")))
    async with house(settings, authority, {"image": build}) as running:
        images = _of(running)
        image = await images.create()
        with pytest.raises(CloudError) as refusal:
            await images.upload(image.id, DATA)
        assert refusal.value.reason == "STORAGE_FULL"
        assert (await images.get(image.id)).status == pb.IMAGE_STATUS_QUEUED
        assert files(small_disk) == set()
        assert (await images.upload(image.id, DATA[:MIB])).status == pb.IMAGE_STATUS_ACTIVE


async def _is(images: Images, image_id: str, status: int) -> bool:
    return (await images.get(image_id)).status == status


def _of(running: House) -> Images:
    caller = person("5f0c7a3e-6f43-4b5e-9a55-0d6f7b1f0a11", "member")
    return Images(running.user("image", caller).stub(ImageServiceStub), caller.project_id)
