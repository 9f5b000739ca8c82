"""The block service's SQL, on SQLite and on PostgreSQL."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from mesh import ids
from mesh.database import Database
from mesh.errors import CloudError
from services.block import attaching, store
from services.block.__main__ import MIGRATIONS
from services.block.model import GIB, Pool, Volume
from services.block.scheduling import Wish
from services.block.tables import TABLES

HOST = ids.new()


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    """Block's database, as its migrations make it."""
    database = Database.open(database_url, TABLES, MIGRATIONS)
    yield database
    await database.close()


@pytest.fixture
async def pool(database: Database) -> Pool:
    """A pool of 10 GiB."""
    described = {"name": "files", "backend": "file", "host_id": HOST, "host_address": "unix:/nowhere"}
    return await database.write(store.pools.register, ids.new(), described | {"capacity_bytes": 10 * GIB})


async def create(database: Database, project_id: str, size_gib: int = 1, **limits: int) -> Volume:
    """A CREATING volume."""
    default = await database.read(store.types.default)
    values = {
        "id": ids.new(), "name": "", "project_id": project_id, "size_gib": size_gib,
        "volume_type_id": default.id, "metadata": {"k": "v"},
    }  # fmt: skip
    volume, _ = await database.write(store.volumes.create, values, limits, Wish(size_gib * GIB))
    return volume


async def available(database: Database, project_id: str) -> Volume:
    """An AVAILABLE volume."""
    volume = await create(database, project_id)
    return await database.write(store.volumes.change, volume.id, {"status": "AVAILABLE"})


def errors(ends: list[Any]) -> set[str]:
    """The reasons of those that failed."""
    return {end.reason for end in ends if isinstance(end, CloudError)}


async def test_units_at_once_count_together_against_a_limit(database: Database, pool: Pool) -> None:
    project_id = ids.new()
    ends = await asyncio.gather(
        *(create(database, project_id, volumes=4) for _ in range(20)), return_exceptions=True
    )
    assert sum(isinstance(end, Volume) for end in ends) == 4
    assert errors(ends) == {"QUOTA_EXCEEDED"}
    used = await database.read(store.usage.of, [project_id])
    assert used == {"volumes": 4, "snapshots": 0, "volume_gib": 4}


async def test_units_of_many_projects_never_fill_a_pool_over_its_brim(database: Database, pool: Pool) -> None:
    ends = await asyncio.gather(*(create(database, ids.new(), 3) for _ in range(20)), return_exceptions=True)
    assert sum(isinstance(end, Volume) for end in ends) == 3
    assert errors(ends) == {"STORAGE_FULL"}
    assert (await database.read(store.pools.get, pool.id)).allocated_bytes == 9 * GIB


async def test_of_many_attachments_at_once_one_gets_the_volume(database: Database, pool: Pool) -> None:
    volume = await available(database, ids.new())
    wanted = [attaching.wanted(ids.new(), volume.id, ids.new(), HOST) for _ in range(20)]
    ends = await asyncio.gather(
        *(database.write(store.attachments.reserve, wish, None) for wish in wanted), return_exceptions=True
    )
    assert sum(isinstance(end, tuple) for end in ends) == 1
    assert errors(ends) == {"WRONG_STATUS"}
    after = await database.read(store.volumes.get, volume.id, volume.project_id)
    assert (after.status, len(after.attachments)) == ("ATTACHING", 1)
    await database.write(store.attachments.remove, after.attachments[0].id)
    assert (await database.read(store.volumes.get, volume.id, None)).status == "AVAILABLE"


async def test_a_project_reaches_its_own_rows_alone(database: Database, pool: Pool) -> None:
    volume = await available(database, ids.new())
    stranger = ids.new()
    attachment, _ = await database.write(
        store.attachments.reserve, attaching.wanted(ids.new(), volume.id, ids.new(), HOST), volume.project_id
    )
    for get, id in ((store.volumes.get, volume.id), (store.attachments.get, attachment.id)):
        with pytest.raises(CloudError, match="There is no"):
            await database.read(get, id, stranger)
        assert (await database.read(get, id, volume.project_id)).id == id


async def test_migrations_leave_one_default_type_however_often_the_database_is_opened(
    database: Database, database_url: str
) -> None:
    first = await database.read(store.types.default)
    again = Database.open(database_url, TABLES, MIGRATIONS)
    assert await again.read(store.types.default) == first
    await again.close()
    assert (first.name, first.public) == ("standard", True)
