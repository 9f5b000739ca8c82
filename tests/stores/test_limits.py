"""Claims against limits, from units that run at once on both databases."""

import asyncio
from collections.abc import Sequence

import pytest
from sqlalchemy import Connection, MetaData, Table, func, insert, select

from mesh import ids, limits, tables
from mesh.columns import Id
from mesh.database import Database
from mesh.errors import CloudError
from mesh.limits import Allowed, Pool

TABLES = MetaData()
tables.add_to(TABLES)
things = Table("things", TABLES, Id("id", primary_key=True, default=ids.new), Id("project_id"))


@pytest.fixture
def metadata() -> MetaData:
    return TABLES


def count(connection: Connection, project_ids: Sequence[str]) -> dict[str, int]:
    query = select(func.count()).select_from(things).where(things.c.project_id.in_(project_ids))
    return {"things": connection.scalar(query) or 0}


def make(connection: Connection, project_id: str, allowed: Allowed) -> str:
    limits.claim(
        connection, "tests", project_id, allowed, {"things": 1}, lambda these: count(connection, these)
    )
    connection.execute(insert(things).values(project_id=project_id))
    return project_id


async def outcomes(database: Database, wishes: list[tuple[str, Allowed]]) -> list[str]:
    """Which project each claim was for that was met; the reason of the others."""
    calls = (database.write(make, *wish) for wish in wishes)
    ends = await asyncio.gather(*calls, return_exceptions=True)
    assert all(isinstance(end, str | CloudError) for end in ends)
    return [end.reason if isinstance(end, CloudError) else str(end) for end in ends]


async def test_projects_that_share_a_limit_never_pass_it_together(database: Database) -> None:
    pool = Pool("company", ("company", "red", "blue"), {"things": 7})
    shared = Allowed({"things": 5}, "company", [pool])
    ends = await outcomes(database, [("red", shared), ("blue", shared), ("company", shared)] * 5)
    assert ends.count("QUOTA_EXCEEDED") == 8
    assert all(ends.count(project) <= 5 for project in pool.members)
    with pytest.raises(CloudError) as caught:
        await database.write(make, "blue", Allowed({}, "company", [pool]))
    assert caught.value.metadata == {"resource": "things", "limit": "7", "used": "7", "requested": "1"}
    assert "company" in str(caught.value)


async def test_a_limit_that_was_lowered_below_what_is_used_refuses_only_more(database: Database) -> None:
    assert await outcomes(database, [("red", Allowed({"things": 3}))] * 3) == ["red"] * 3
    assert await outcomes(database, [("red", Allowed({"things": 1}))]) == ["QUOTA_EXCEEDED"]
    assert (await database.read(count, ["red"])) == {"things": 3}
    assert await outcomes(database, [("blue", Allowed({"things": 1}))]) == ["blue"]
    assert await outcomes(database, [("red", Allowed({"things": -1}))]) == ["red"]
