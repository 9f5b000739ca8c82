"""Contents that the service fetches itself: whole and once, from where it may, or not at all."""

import asyncio
import os
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from mesh import ids
from mesh.certificates import Authority
from mesh.errors import CloudError
from mesh.settings import Settings
from services.image import sources
from services.image.api import imports
from services.image.flows import image_import
from tests.services.harness import House
from tests.services.image.conftest import digest, files
from tests.services.image.importing import Importer, fetching, importer, state
from tests.services.image.origin import Answer, Origin, origin
from tests.services.image.test_formats import qcow2
from weft.image.v1 import resources_pb2 as pb
from weft.operation.v1 import operation_pb2

MIB = 1 << 20
DATA = os.urandom(MIB + 17)


@pytest.fixture
async def web() -> AsyncIterator[Origin]:
    """Somebody's web server on 127.0.0.1."""
    async with origin() as made:
        yield made


@pytest.fixture
async def cloud_house(cloud: Settings, authority: Authority) -> AsyncIterator[House]:
    """A house with an image service that may fetch from 127.0.0.1, and nothing else of this machine."""
    async with fetching(cloud, authority) as running:
        yield running


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Other attempts come soon, and it is told after each chunk how far it is."""
    monkeypatch.setattr(sources, "_AGAIN", 0.05)
    monkeypatch.setattr(image_import, "_TELL_EVERY", 0.0)


@pytest.fixture
def mine(cloud_house: House) -> Importer:
    return importer(cloud_house)


@pytest.fixture
def theirs(cloud_house: House) -> Importer:
    return importer(cloud_house)


async def is_as_new(who: Importer, image_id: str, store: Path) -> pb.Image:
    """It is QUEUED with nothing of the content anywhere, and takes an upload."""
    left = await who.get(image_id)
    assert (left.status, left.operation_id, left.size_bytes) == (pb.IMAGE_STATUS_QUEUED, "", 0)
    assert files(store) == set()
    data = qcow2() if left.disk_format == pb.DISK_FORMAT_QCOW2 else b"\1" * 4096
    assert (await who.upload(image_id, data)).status == pb.IMAGE_STATUS_ACTIVE
    await who.delete(image_id)
    return left


@pytest.mark.parametrize("says_length", [True, False])
async def test_an_image_is_imported_and_its_operation_says_how_far_it_is(
    mine: Importer, web: Origin, store: Path, says_length: bool
) -> None:
    uri = web.uri("/disk", Answer(DATA, says_length=says_length))
    moved = web.uri("/moved", Answer(status=302, location=uri))
    begun = await mine.begin((await mine.create()).id, moved, sha256=digest(DATA))
    assert begun.status == pb.IMAGE_STATUS_IMPORTING
    ended = await mine.ended(begun.operation_id)
    assert (state(ended), ended.kind, ended.target_id) == ("SUCCEEDED", "image.import", begun.id)
    step = ended.steps[0]
    assert (step.done_bytes, step.total_bytes) == (len(DATA), len(DATA) if says_length else 0)
    image = await mine.get(begun.id)
    assert (image.status, image.operation_id) == (pb.IMAGE_STATUS_ACTIVE, "")
    assert (image.sha256, image.size_bytes) == (digest(DATA), len(DATA))
    assert await mine.content(image.id) == DATA
    assert files(store) == {digest(DATA)}


async def test_where_the_operator_allows_no_network_none_of_this_machine_is_asked(
    cloud: Settings, authority: Authority, web: Origin
) -> None:
    uri, named = web.uri("/a", Answer(DATA)), web.uri("/b", Answer(DATA), host="localhost")
    async with fetching(cloud, authority, allowed=()) as running:
        who = importer(running)
        image = await who.create()
        for literal in (uri, "http://[::1]/", "http://169.254.169.254/", "http://10.0.0.1/"):
            with pytest.raises(CloudError) as refusal:
                await who.begin(image.id, literal)
            assert "uri" in refusal.value.fields
        for name in (named, f"http://2130706433:{web.port}/a", f"http://127.1:{web.port}/a"):
            ended = await who.bring(image.id, name)
            assert (state(ended), ended.error.reason) == ("FAILED", "SOURCE_REFUSED")
        await is_as_new(who, image.id, Path(running.settings.image.store))
    assert web.asked == []


@pytest.mark.parametrize("uri", ["ftp://example.org/a", "file:///etc/passwd", "http://me:pw@example.org/"])
async def test_an_address_of_another_kind_or_with_a_password_is_refused(mine: Importer, uri: str) -> None:
    with pytest.raises(CloudError) as refusal:
        await mine.begin((await mine.create()).id, uri)
    assert "uri" in refusal.value.fields


async def test_a_redirect_to_where_it_may_not_fetch_from_is_not_followed(
    mine: Importer, web: Origin, store: Path
) -> None:
    inside = [web.uri("/in", Answer(DATA), host=host) for host in ("127.0.0.2", "127.2")]
    for onward in (*inside, "file:///etc/passwd", "http://169.254.169.254/", ""):
        image = await mine.create()
        ended = await mine.bring(image.id, web.uri("/out", Answer(status=302, location=onward)))
        assert (state(ended), ended.error.reason) == ("FAILED", "SOURCE_REFUSED"), onward
        await is_as_new(mine, image.id, store)
    assert set(web.asked) == {"/out"}


async def test_redirects_without_an_end_are_given_up(mine: Importer, web: Origin) -> None:
    uri = web.uri("/round", Answer(status=302, location="/round"))
    ended = await mine.bring((await mine.create()).id, uri)
    assert ended.error.reason == "SOURCE_REFUSED"
    assert len(web.asked) == 6


async def test_what_is_not_what_was_asked_for_is_refused(mine: Importer, web: Origin, store: Path) -> None:
    wrong = {
        "CONTENT_MISMATCH": (pb.DISK_FORMAT_RAW, Answer(DATA)),
        "IMAGE_REFUSED": (pb.DISK_FORMAT_QCOW2, Answer(qcow2(backing_offset=512, backing_size=11))),
        "SOURCE_REFUSED": (pb.DISK_FORMAT_RAW, Answer(b"no", status=404)),
    }
    for reason, (disk_format, answer) in wrong.items():
        image = await mine.create(format=disk_format)
        expected = digest(b"another") if reason == "CONTENT_MISMATCH" else ""
        ended = await mine.bring(image.id, web.uri("/wrong", answer), sha256=expected)
        assert (state(ended), ended.error.reason) == ("FAILED", reason)
        assert (await is_as_new(mine, image.id, store)).status_reason == ended.error.message


async def test_a_server_that_ends_early_is_asked_again_and_given_up_in_the_end(
    mine: Importer, web: Origin, store: Path
) -> None:
    cut, busy = Answer(DATA, sent=MIB // 2), Answer(status=503)
    image = await mine.create()
    assert state(await mine.bring(image.id, web.uri("/mended", cut, busy, Answer(DATA)))) == "SUCCEEDED"
    assert await mine.content(image.id) == DATA
    await mine.delete(image.id)
    image = await mine.create()
    ended = await mine.bring(image.id, web.uri("/cut", cut))
    assert (state(ended), ended.error.reason) == ("FAILED", "SOURCE_UNAVAILABLE")
    assert web.asked.count("/cut") == 4
    await is_as_new(mine, image.id, store)


async def test_of_an_answer_that_was_cut_the_rest_is_asked_for(mine: Importer, web: Origin) -> None:
    cuts = [Answer(DATA, sent=sent, etag='"one"') for sent in (MIB // 4, MIB // 2)]
    image = await mine.create()
    ended = await mine.bring(image.id, web.uri("/rest", *cuts, Answer(DATA, etag='"one"')))
    assert (state(ended), ended.steps[0].attempts) == ("SUCCEEDED", 1)
    assert ended.steps[0].done_bytes == len(DATA)
    assert web.parts == [0, MIB // 4, MIB // 2]
    assert await mine.content(image.id) == DATA


@pytest.mark.parametrize(
    "second",
    [
        Answer(DATA[::-1], etag='"two"'),  # it is another meanwhile
        Answer(DATA, status=416),  # there is no such part any more
        Answer(DATA, etag='"one"', askew=1),  # a part that was not asked for
    ],
    ids=["another", "gone", "askew"],
)
async def test_parts_of_different_contents_are_never_put_together(
    mine: Importer, web: Origin, second: Answer
) -> None:
    last = Answer(second.body, etag=second.etag)
    cut = Answer(DATA, sent=MIB // 2, etag='"one"')
    image = await mine.create()
    ended = await mine.bring(image.id, web.uri("/other", cut, second, last))
    assert (state(ended), ended.steps[0].attempts) == ("SUCCEEDED", 2)
    assert len(web.asked) == 3
    assert await mine.content(image.id) == second.body


@pytest.mark.parametrize("etag", ["", 'W/"weak"'])
async def test_what_has_no_strong_name_is_fetched_from_the_start(
    mine: Importer, web: Origin, etag: str
) -> None:
    cut = Answer(DATA, sent=MIB // 2, etag=etag)
    image = await mine.create()
    assert state(await mine.bring(image.id, web.uri("/weak", cut, Answer(DATA, etag=etag)))) == "SUCCEEDED"
    assert web.parts == [0, 0]
    assert await mine.content(image.id) == DATA


@pytest.mark.parametrize("says_length", [True, False])
async def test_more_than_the_quota_or_the_cloud_allows_is_not_fetched(
    cloud: Settings, authority: Authority, web: Origin, says_length: bool
) -> None:
    uri = web.uri("/much", Answer(DATA, says_length=says_length))
    for reason, quota, most in (("SOURCE_REFUSED", 2 * MIB, MIB), ("QUOTA_EXCEEDED", MIB, 2 * MIB)):
        async with fetching(cloud, authority, import_bytes=most) as running:
            running.limits.limits["image_bytes"] = quota
            who = importer(running)
            image = await who.create()
            assert (await who.bring(image.id, uri)).error.reason == reason
            await is_as_new(who, image.id, Path(running.settings.image.store))


async def _half_there(who: Importer, operation_id: str, sent: int) -> None:
    """Its operation says that so much has come."""
    async for seen in who.operations.WatchOperation(operation_pb2.WatchOperationRequest(id=operation_id)):
        if seen.steps[0].done_bytes >= sent:
            return
    raise AssertionError("it ended")


async def test_an_import_that_is_cancelled_in_its_middle_leaves_nothing(
    mine: Importer, web: Origin, store: Path
) -> None:
    image = await mine.create()
    begun = await mine.begin(image.id, web.uri("/slow", Answer(DATA, sent=4096, go_on=asyncio.Event())))
    await _half_there(mine, begun.operation_id, 4096)
    for refused in (mine.upload(image.id, DATA), mine.begin(image.id, web.uri("/b", Answer(DATA)))):
        with pytest.raises(CloudError) as refusal:
            await refused
        assert refusal.value.metadata["status"] == "IMPORTING"
    await mine.cancel(begun.operation_id)
    assert state(await mine.ended(begun.operation_id)) == "CANCELLED"
    await is_as_new(mine, image.id, store)


async def test_deleting_an_image_ends_its_import(mine: Importer, web: Origin, store: Path) -> None:
    image = await mine.create()
    begun = await mine.begin(image.id, web.uri("/slow", Answer(DATA, sent=4096, go_on=asyncio.Event())))
    await _half_there(mine, begun.operation_id, 4096)
    await mine.delete(image.id)
    assert state(await mine.ended(begun.operation_id)) == "CANCELLED"
    assert files(store) == set()


async def test_an_import_past_its_deadline_is_undone(
    mine: Importer, web: Origin, store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(imports, "IMPORT", replace(image_import.IMPORT, deadline=1.0))
    image = await mine.create()
    ended = await mine.bring(image.id, web.uri("/slow", Answer(DATA, sent=4096, go_on=asyncio.Event())))
    assert (state(ended), ended.error.reason) == ("FAILED", "DEADLINE_EXCEEDED")
    await is_as_new(mine, image.id, store)


async def test_a_request_sent_ten_times_at_once_is_one_import(mine: Importer, web: Origin) -> None:
    image, uri = await mine.create(), web.uri("/once", Answer(DATA))
    request_id = ids.new()
    answers = await asyncio.gather(*(mine.begin(image.id, uri, request_id=request_id) for _ in range(10)))
    assert len({each.operation_id for each in answers}) == 1
    assert state(await mine.ended(answers[0].operation_id)) == "SUCCEEDED"
    assert (await mine.begin(image.id, uri, request_id=request_id)).operation_id == answers[0].operation_id
    assert web.asked == ["/once"]


async def test_another_project_sees_nothing_of_it(mine: Importer, theirs: Importer, web: Origin) -> None:
    image, uri = await mine.create(), web.uri("/mine?secret", Answer(DATA))
    with pytest.raises(CloudError) as refusal:
        await theirs.begin(image.id, uri)
    assert refusal.value.reason == "NOT_FOUND"
    operation_id = (await mine.begin(image.id, uri)).operation_id
    for call in (theirs.ended(operation_id), theirs.cancel(operation_id)):
        with pytest.raises(CloudError) as refusal:
            await call
        assert refusal.value.reason == "NOT_FOUND"
    assert "secret" not in str(await mine.ended(operation_id))
