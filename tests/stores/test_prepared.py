"""Statements that are compiled once, the same on SQLite and on PostgreSQL."""

from typing import Any

import pytest
from sqlalchemy import Column, Connection, Float, MetaData, Table, bindparam, insert, select, update
from sqlalchemy.exc import DBAPIError, IntegrityError

from mesh import clock, columns, ids
from mesh.database import Database
from mesh.errors import CloudError
from mesh.prepared import Prepared

_metadata = MetaData()
things = Table(
    "prepared_things",
    _metadata,
    *columns.resource_columns(),
    Column("about", columns.Json),
    Column("share", Float),
)

_ADD = Prepared(insert(things), "id", "name", "project_id", "status", "about", "share")
_ALL = select(things).order_by(things.c.name)
_NAMED = Prepared(_ALL.where(things.c.name.in_(bindparam("names", expanding=True))))
_RENAME = (
    update(things)
    .where(things.c.id == bindparam("held"))
    .values(name=bindparam("new"), revision=things.c.revision + 1)
)
_RENAME, _RENAMED = Prepared(_RENAME), Prepared(_RENAME.returning(things.c.name, things.c.revision))


@pytest.fixture
def metadata() -> MetaData:
    return _metadata


def add(connection: Connection, name: str, id: str | None = None) -> str:
    id = id or ids.new()
    about = {"of": [name, 1]}
    assert _ADD.run(connection, id=id, name=name, project_id="p", status="NEW", about=about, share=0.5) == 1
    return id


def as_both_see_it(connection: Connection) -> tuple[list[Any], list[Any]]:
    plain = [dict(row._mapping) for row in connection.execute(_ALL)]
    return plain, [dict(row._mapping) for row in Prepared(_ALL).all(connection)]


async def test_rows_are_what_sqlalchemy_reads(database: Database) -> None:
    before = clock.now()
    await database.write(add, "one")
    await database.write(add, "two")
    plain, prepared = await database.read(as_both_see_it)
    assert [row["name"] for row in plain] == ["one", "two"]
    assert prepared == plain
    assert prepared[0]["about"] == {"of": ["one", 1]}
    assert before <= prepared[0]["created_at"] <= clock.now(), "by the table's default"


@pytest.mark.parametrize("wanted", [[], ["a"], ["c", "a"], ["a", "b", "c", "d", "none"]])
async def test_a_list_may_have_any_length(database: Database, wanted: list[str]) -> None:
    for name in ("a", "b", "c", "d"):
        await database.write(add, name)
    found = await database.read(lambda connection: _NAMED.all(connection, names=wanted))
    assert [row.name for row in found] == sorted(set(wanted) - {"none"})


async def test_a_list_may_be_part_of_the_statement(database: Database) -> None:
    for name in ("a", "b", "c"):
        await database.write(add, name)
    found = await database.read(Prepared(_ALL.where(things.c.name.in_(["a", "c"]))).all)
    assert [row.name for row in found] == ["a", "c"]


def add_each(connection: Connection, *pairs: tuple[str, str]) -> None:
    said = {"project_id": "p", "status": "NEW", "about": {"of": [1]}, "share": 0.5}
    _ADD.run_each(connection, [{"id": id, "name": name, **said} for id, name in pairs])


async def test_a_change_may_be_made_with_many_values_at_once(database: Database) -> None:
    pairs = [(ids.new(), name) for name in ("a", "b", "c")]
    await database.write(add_each, *pairs)
    await database.write(add_each)
    plain, prepared = await database.read(as_both_see_it)
    assert [(row["id"], row["name"], row["about"]) for row in prepared] == [(*p, {"of": [1]}) for p in pairs]
    assert prepared == plain
    with pytest.raises(IntegrityError):
        await database.write(add_each, (ids.new(), "d"), pairs[0])
    assert [row["name"] for row in (await database.read(as_both_see_it))[0]] == ["a", "b", "c"]


async def test_a_change_says_what_it_met(database: Database) -> None:
    id = await database.write(add, "old")
    assert await database.write(lambda c: _RENAME.run(c, held=id, new="newer")) == 1
    assert await database.write(lambda c: _RENAME.run(c, held="another", new="no")) == 0
    row = await database.write(lambda c: _RENAMED.one(c, held=id, new="newest"))
    assert (row.name, row.revision) == ("newest", 3)
    assert await database.write(lambda c: _RENAMED.one(c, held="another", new="no")) is None


async def test_it_fails_as_sqlalchemy_does(database: Database) -> None:
    id = await database.write(add, "first")
    with pytest.raises(IntegrityError):
        await database.write(add, "second", id)
    assert [row.id for row in await database.read(Prepared(_ALL).all)] == [id]


async def test_what_only_looks_cannot_write(database: Database) -> None:
    with pytest.raises((DBAPIError, CloudError)):
        await database.read(add, "one")
    assert await database.read(Prepared(_ALL).all) == []
    await database.write(add, "one")
    assert len(await database.read(Prepared(_ALL).all)) == 1


async def test_a_value_that_is_missing_is_an_error(database: Database) -> None:
    with pytest.raises(KeyError):
        await database.read(lambda connection: _NAMED.all(connection))


async def test_what_is_prepared_outlives_a_unit_that_goes_back(database: Database) -> None:
    id = await database.write(add, "held")

    def stumble(connection: Connection, name: str) -> list[str]:
        with pytest.raises(IntegrityError), connection.begin_nested():
            add(connection, name, id)
        add(connection, name)
        return [row.name for row in _NAMED.all(connection, names=[name])]

    for number in range(4):
        assert await database.write(stumble, f"n{number}") == [f"n{number}"]
        with pytest.raises(IntegrityError):
            await database.write(add, "again", id)
    found = await database.read(lambda connection: [row.name for row in connection.execute(_ALL)])
    assert found == ["held", "n0", "n1", "n2", "n3"]


async def test_several_rows_are_written_at_once_whatever_they_hold(database: Database) -> None:
    rows = [
        {"id": ids.new(), "name": f"{number:03}", "project_id": "p", "status": "NEW", "share": share}
        for number, share in enumerate([0.5, None, 2.0] * 100)
    ]
    done = await database.write(lambda c: c.execute(insert(things), rows).rowcount)
    assert done == 300
    held = await database.read(Prepared(_ALL).all)
    assert [(row.name, row.share) for row in held] == [(row["name"], row["share"]) for row in rows]
