"""The image service's SQL, on SQLite and on PostgreSQL."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from mesh import ids
from mesh.caller import Caller
from mesh.database import Database
from mesh.errors import CloudError
from services.image import model, store
from services.image.__main__ import MIGRATIONS
from services.image.tables import TABLES
from tests.services.harness import person
from weft.image.v1.image_service_pb2 import ListImagesRequest, ListMembersRequest

CONTENT = model.Content(100, 200, "ab" * 32, "cd" * 64)


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    """The image service's database, as its migrations make it."""
    database = Database.open(database_url, TABLES, MIGRATIONS)
    yield database
    await database.close()


@pytest.fixture
def me() -> Caller:
    """A member of a project."""
    return person(ids.new(), "member")


async def create(database: Database, caller: Caller, limit: int = -1, **changes: Any) -> model.Image:
    """A QUEUED image of the caller's project."""
    values = {
        "id": ids.new(), "name": "", "project_id": caller.project_id, "disk_format": "RAW",
        "visibility": "PRIVATE", "properties": {}, "tags": [], **changes,
    }  # fmt: skip
    return await database.write(store.images.create, values, {"images": limit, "image_bytes": limit})


def errors(ends: list[Any]) -> set[str]:
    """The reasons of those that failed."""
    return {end.reason for end in ends if isinstance(end, CloudError)}


async def test_units_at_once_count_together_against_a_limit(database: Database, me: Caller) -> None:
    ends = await asyncio.gather(*(create(database, me, limit=5) for _ in range(20)), return_exceptions=True)
    assert sum(isinstance(end, model.Image) for end in ends) == 5
    assert errors(ends) == {"QUOTA_EXCEEDED"}


async def test_of_many_uploaders_at_once_one_gets_the_image(database: Database, me: Caller) -> None:
    image = await create(database, me)
    begins = (database.write(store.uploads.begin, image.id, me) for _ in range(20))
    ends = await asyncio.gather(*begins, return_exceptions=True)
    won = [end for end in ends if isinstance(end, model.Image)]
    assert len(won) == 1
    assert errors(ends) == {"WRONG_STATUS"}
    assert await database.write(store.uploads.beat, won[0])
    await database.write(store.uploads.give_up, won[0], "cut")
    assert not await database.write(store.uploads.beat, won[0])


async def test_contents_at_once_count_together_against_a_limit(database: Database, me: Caller) -> None:
    images = [await create(database, me) for _ in range(6)]
    uploads = [await database.write(store.uploads.begin, image.id, me) for image in images]
    limits = {"image_bytes": 2 * CONTENT.size_bytes}
    finishes = (database.write(store.uploads.finish, upload, CONTENT, limits) for upload in uploads)
    ends = await asyncio.gather(*finishes, return_exceptions=True)
    assert sum(isinstance(end, model.Image) for end in ends) == 2
    assert errors(ends) == {"QUOTA_EXCEEDED"}
    assert await database.read(store.images.used_bytes, me.project_id) == 2 * CONTENT.size_bytes


async def test_a_content_is_referred_to_until_its_last_image_goes(database: Database, me: Caller) -> None:
    made = []
    for _ in range(2):
        upload = await database.write(store.uploads.begin, (await create(database, me)).id, me)
        made.append(await database.write(store.uploads.finish, upload, CONTENT, {}))
    for image, left in zip(made, (True, False), strict=True):
        await database.write(store.images.remove, image, 0)
        assert await database.read(store.images.refers, CONTENT.sha256) is left


async def test_a_list_holds_what_has_all_tags_and_may_be_seen(database: Database, me: Caller) -> None:
    other = person(ids.new(), "member")
    wanted = await create(database, me, tags=["a", "b"], properties={"k": "v"})
    await create(database, me, tags=["a"])
    await create(database, other, tags=["a", "b"])
    labelled = {"tags": ["b", "a"]}
    found, _ = await database.read(store.images.page, ListImagesRequest(), me, labelled, ["ACCEPTED"])
    assert found == [wanted]
    assert (wanted.tags, wanted.properties) == (["a", "b"], {"k": "v"})


async def test_members_come_and_go_with_the_image(database: Database, me: Caller) -> None:
    image = await create(database, me, visibility="SHARED")
    member = await database.write(store.members.add, image, ids.new())
    request = ListMembersRequest(image_id=image.id)
    assert await database.read(store.members.page, request, me) == ([member], "")
    await database.write(store.images.remove, image, image.revision)
    with pytest.raises(CloudError, match="There is no image"):
        await database.read(store.members.page, request, me)
