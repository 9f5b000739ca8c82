"""Contents as plain bytes over HTTP: as the REST of the contract says, and nobody gets more by it."""

import asyncio
import base64
import os
import ssl
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, suppress
from pathlib import Path

import httpx
import pytest
from google.protobuf import json_format

from mesh import caller
from mesh.certificates import Authority, Identity
from mesh.errors import CloudError
from mesh.settings import Settings
from services.image import taking
from services.image.__main__ import build
from tests.services.harness import House, house, person, until
from tests.services.image.conftest import Images, PlainImages, digest, file, files, plainly, plainly_used
from weft.image.v1 import resources_pb2 as pb

MIB = 1 << 20
DATA = os.urandom(3 * MIB + 17)
SIZE = len(DATA)


def problem(answer: httpx.Response, status: int, reason: str) -> dict[str, object]:
    """The problem that an answer is, which must be this one."""
    assert (answer.status_code, answer.headers["content-type"]) == (status, "application/problem+json")
    said = answer.json()
    assert (said["status"], said["reason"]) == (status, reason)
    return said


async def test_a_content_of_known_length_goes_up_and_comes_down(plain: PlainImages, store: Path) -> None:
    image = await plain.put((await plain.create(name="disk")).id, DATA)
    assert image == await plain.get(image.id)
    assert (image.status, image.sha256) == (pb.IMAGE_STATUS_ACTIVE, digest(DATA))
    assert files(store) == {digest(DATA)}
    answer = await plain.http.get(file(image.id))
    assert answer.content == DATA
    sha256 = base64.b64encode(bytes.fromhex(digest(DATA))).decode()
    assert answer.headers["repr-digest"] == f"sha-256=:{sha256}:"
    assert answer.headers["etag"] == f'"{digest(DATA)}"'


async def test_what_an_upload_answers_is_written_as_all_of_rest_is(plain: PlainImages) -> None:
    answer = await plain.http.put(file((await plain.create()).id), content=DATA)
    image = json_format.ParseDict(answer.json(), pb.Image())
    assert answer.json()["size_bytes"] == str(SIZE)
    assert answer.json()["min_disk_gib"] == 0
    assert image == await plain.get(image.id)


@pytest.mark.parametrize(
    ("asked", "first", "last"),
    [
        ("bytes=0-0", 0, 0),
        ("bytes=17-", 17, SIZE - 1),
        (f"bytes={MIB - 1}-{MIB}", MIB - 1, MIB),
        ("bytes=-5", SIZE - 5, SIZE - 1),
        (f"bytes=-{2 * SIZE}", 0, SIZE - 1),
        (f"bytes=1-{2 * SIZE}", 1, SIZE - 1),
    ],
)
async def test_a_range_is_answered_as_http_says(
    plain: PlainImages, asked: str, first: int, last: int
) -> None:
    image = await plain.make(DATA)
    answer = await plain.http.get(file(image.id), headers={"range": asked})
    assert answer.status_code == 206
    assert answer.headers["content-range"] == f"bytes {first}-{last}/{SIZE}"
    assert answer.content == DATA[first : last + 1]


@pytest.mark.parametrize("asked", ["bytes=0-1,5-6", "bytes=-", "lines=1-2", "bytes=x-2"])
async def test_what_is_no_single_range_is_all_of_it(plain: PlainImages, asked: str) -> None:
    image = await plain.make(DATA)
    answer = await plain.http.get(file(image.id), headers={"range": asked})
    assert (answer.status_code, answer.content) == (200, DATA)


@pytest.mark.parametrize("asked", [f"bytes={SIZE}-", "bytes=-0", "bytes=5-4"])
async def test_a_range_of_nothing_cannot_be_answered(plain: PlainImages, asked: str) -> None:
    image = await plain.make(DATA)
    answer = await plain.http.get(file(image.id), headers={"range": asked})
    assert (answer.status_code, answer.content) == (416, b"")
    assert answer.headers["content-range"] == f"bytes */{SIZE}"


async def test_the_rest_of_another_content_is_all_of_this_one(plain: PlainImages) -> None:
    image = await plain.make(DATA)
    asked = {"range": "bytes=9-", "if-range": f'"{digest(DATA)}"'}
    assert (await plain.http.get(file(image.id), headers=asked)).content == DATA[9:]
    other = await plain.http.get(file(image.id), headers={**asked, "if-range": '"other"'})
    assert (other.status_code, other.content) == (200, DATA)


async def test_a_head_tells_what_a_get_would_bring(plain: PlainImages) -> None:
    image = await plain.make(DATA)
    answer = await plain.http.head(file(image.id))
    assert (answer.status_code, answer.headers["content-length"], answer.content) == (200, str(SIZE), b"")


async def test_a_failure_is_the_problem_that_rest_makes_of_it(plain: PlainImages) -> None:
    image = await plain.create()
    said = problem(await plain.http.get(file(image.id)), 409, "WRONG_STATUS")
    assert said["metadata"]["status"] == "QUEUED"
    assert len(str(said["trace_id"])) == 32
    problem(await plain.http.get(file(image.id), params={"ofset": "1"}), 400, "INVALID_ARGUMENT")
    problem(await plain.http.get(file(image.id), params={"offset": "-1"}), 400, "INVALID_ARGUMENT")
    problem(await plain.http.get(file("no-uuid")), 400, "INVALID_ARGUMENT")
    problem(await plain.http.post(file(image.id), content=b"x"), 404, "NOT_FOUND")
    problem(await plain.http.get("/image/v1/images"), 404, "NOT_FOUND")
    await plain.upload(image.id, DATA)
    assert await plain.content(image.id) == DATA


async def test_others_neither_read_nor_write_a_private_image(plain: PlainImages, mine: Images) -> None:
    image, empty = await mine.make(DATA), await mine.create()
    problem(await plain.http.get(file(image.id)), 404, "NOT_FOUND")
    problem(await plain.http.put(file(empty.id), content=DATA), 404, "NOT_FOUND")
    assert (await mine.get(empty.id)).status == pb.IMAGE_STATUS_QUEUED
    assert await mine.content(image.id) == DATA


async def test_who_shows_no_token_or_has_no_role_for_it_is_refused(
    plain: PlainImages, cloud_house: House
) -> None:
    image = await plain.create()
    async with plainly(cloud_house, Identity.gateway()) as nobody:
        problem(await nobody.put(file(image.id), content=DATA * 20), 401, "UNAUTHENTICATED")
    token = cloud_house.people.register(person(plain.project_id, "reader"))
    async with plainly(cloud_house, Identity.gateway(), token) as reader:
        problem(await reader.put(file(image.id), content=DATA), 403, "PERMISSION_DENIED")
        await plain.put(image.id, DATA)
        assert (await reader.get(file(image.id))).content == DATA


async def test_only_certificates_of_this_cloud_are_let_in(
    plain: PlainImages, cloud_house: House, tmp_path: Path
) -> None:
    image = await plain.make(DATA)
    token = plain.http.headers["authorization"].removeprefix("Bearer ")
    stranger = Authority.open_or_create(tmp_path / "pki", cloud_house.settings.cloud.name)
    async with plainly(cloud_house, Identity.gateway(), token, stranger) as other:
        with pytest.raises((httpx.TransportError, ssl.SSLError)):
            await other.get(file(image.id))
    path = cloud_house.settings.bulk_address("image").removeprefix("unix:")
    trust = ssl.create_default_context(cadata=cloud_house.authority.ca_pem.decode())
    async with httpx.AsyncClient(transport=httpx.AsyncHTTPTransport(uds=path, verify=trust)) as bare:
        with pytest.raises((httpx.TransportError, ssl.SSLError)):
            await bare.get(f"https://image.weft.internal{file(image.id)}")
    async with plainly(cloud_house, Identity.gateway(), token) as ours:
        assert (await ours.get(file(image.id))).content == DATA


async def test_nobody_acts_for_others_by_a_header(plain: PlainImages, cloud_house: House) -> None:
    image = await plain.make(DATA)
    acting = base64.b64encode(caller.encode(person(plain.project_id, "admin"))).decode()
    forged = {caller.METADATA_KEY: acting}
    async with plainly(cloud_house, Identity.gateway()) as nobody:
        problem(await nobody.get(file(image.id), headers=forged), 401, "UNAUTHENTICATED")


async def test_an_upload_that_is_cut_leaves_the_image_queued_and_nothing_behind(
    plain: PlainImages, store: Path
) -> None:
    image, sent = await plain.create(), asyncio.Event()

    async def cut() -> AsyncIterator[bytes]:
        yield DATA
        sent.set()
        await asyncio.sleep(60)

    uploading = asyncio.create_task(plain.http.put(file(image.id), content=cut()))
    await sent.wait()
    await until(lambda: _is(plain, image.id, pb.IMAGE_STATUS_SAVING))
    uploading.cancel()
    await asyncio.wait([uploading])
    await until(lambda: _is(plain, image.id, pb.IMAGE_STATUS_QUEUED))
    assert "begin it again" in (await plain.get(image.id)).status_reason
    assert files(store) == set()


async def test_an_uploader_that_falls_silent_is_given_up(
    plain: PlainImages, store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(taking, "STALL", 2.0)
    image = await plain.create()

    async def silent() -> AsyncIterator[bytes]:
        yield DATA
        await asyncio.sleep(60)

    uploading = asyncio.create_task(plain.http.put(file(image.id), content=silent()))
    await until(lambda: _is(plain, image.id, pb.IMAGE_STATUS_SAVING))
    await until(lambda: _is(plain, image.id, pb.IMAGE_STATUS_QUEUED))
    assert f"after {SIZE} bytes" in (await plain.get(image.id)).status_reason
    assert files(store) == set()
    uploading.cancel()


async def test_a_download_under_way_outlives_the_image(plain: PlainImages) -> None:
    image = await plain.make(DATA * 5)
    async with plain.http.stream("GET", file(image.id)) as answer:
        pieces = answer.aiter_bytes(1000)
        received = [await anext(pieces)]
        await plain.delete(image.id)
        received += [piece async for piece in pieces]
    assert b"".join(received) == DATA * 5


async def test_a_reader_that_goes_away_leaves_no_thread_and_no_file_behind(plain: PlainImages) -> None:
    image = await plain.make(DATA * 20)
    async with plain.http.stream("GET", file(image.id)) as answer:
        pieces = answer.aiter_bytes(1000)
        await anext(pieces)
        assert await _read_now(image.sha256)
    await until(lambda: _not_read_now(image.sha256))
    assert len(await plain.content(image.id)) == 20 * SIZE


async def test_a_new_certificate_is_shown_without_a_new_start(plain: PlainImages, cloud_house: House) -> None:
    image = await plain.make(DATA)
    leaf = cloud_house.runtimes["image"].leaf
    before = await _shown(cloud_house)
    leaf.certificate_path.unlink()
    leaf._pair = leaf._read()  # type: ignore[attr-defined] - what it does by itself when that is due
    assert await _shown(cloud_house) != before
    assert await plain.content(image.id) == DATA


async def test_a_service_that_stops_lets_a_transfer_end(cloud: Settings, authority: Authority) -> None:
    begun, go_on = asyncio.Event(), asyncio.Event()

    async def slowly() -> AsyncIterator[bytes]:
        yield DATA
        begun.set()
        await go_on.wait()
        yield DATA

    async with AsyncExitStack() as later:
        async with house(cloud, authority, {"image": build}) as running:
            plain = await later.enter_async_context(plainly_used(running))
            image = await plain.create()
            uploading = asyncio.create_task(plain.put(image.id, slowly()))
            await begun.wait()
            await until(lambda: _is(plain, image.id, pb.IMAGE_STATUS_SAVING))
            asyncio.get_running_loop().call_later(0.5, go_on.set)
        assert (await uploading).sha256 == digest(DATA + DATA)


async def test_an_upload_is_told_to_the_audit_trail(plain: PlainImages, cloud_house: House) -> None:
    trail, told = cloud_house.runtimes["image"].trail, []

    async def send(events: list[object]) -> None:
        told.extend(events)

    trail.send = send  # type: ignore[assignment]
    image = await plain.make(DATA)
    with pytest.raises(CloudError):
        await plain.upload(image.id, DATA)
    await trail.flush()
    uploads = [event for event in told if event.action == "image.images.upload"]
    assert [(event.target.id, event.outcome) for event in uploads] == [
        (image.id, "success"),
        (image.id, "failure"),
    ]


async def _is(images: Images, image_id: str, status: int) -> bool:
    return (await images.get(image_id)).status == status


async def _read_now(sha256: str) -> bool:
    """Whether a content is open in this process, where the service runs."""
    return await asyncio.to_thread(lambda: any(name.endswith(sha256) for name in _open_files()))


def _open_files() -> Iterator[str]:
    for number in os.listdir("/proc/self/fd"):
        with suppress(FileNotFoundError):
            yield os.readlink(f"/proc/self/fd/{number}")


async def _not_read_now(sha256: str) -> bool:
    return not await _read_now(sha256)


async def _shown(house: House) -> bytes:
    """The certificate that the port shows now."""
    trust = ssl.create_default_context(cadata=house.authority.ca_pem.decode())
    trust.check_hostname = False
    path = house.settings.bulk_address("image").removeprefix("unix:")
    _, writer = await asyncio.open_unix_connection(path, ssl=trust, server_hostname="")
    shown = writer.get_extra_info("ssl_object").getpeercert(binary_form=True)
    writer.close()
    return bytes(shown)
