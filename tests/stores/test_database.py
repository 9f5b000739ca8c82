"""Units of work, the same on SQLite and on PostgreSQL."""

import asyncio
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from sqlalchemy import Connection, MetaData, Table, func, insert, select, text, update
from sqlalchemy.exc import DBAPIError, IntegrityError

from mesh import columns, ids, tables
from mesh.database import Database, after_commit, compare_and_swap
from mesh.errors import CloudError

_metadata = MetaData()
things = Table("things", _metadata, *columns.resource_columns())
_ISOLATION = text("SELECT current_setting('transaction_isolation')")


@pytest.fixture
def metadata() -> MetaData:
    tables.add_to(_metadata) if "events" not in _metadata.tables else None
    return _metadata


def add(connection: Connection, name: str, id: str | None = None) -> str:
    id = id or ids.new()
    connection.execute(insert(things).values(id=id, name=name, project_id="p", status="NEW"))
    return id


@pytest.fixture
async def postgresql(postgres_schema: str, metadata: MetaData) -> AsyncIterator[Database]:
    database = Database.open(postgres_schema, metadata, None)
    yield database
    await database.close()


@pytest.fixture
async def sqlite(tmp_path: Path, metadata: MetaData) -> AsyncIterator[Database]:
    database = Database.open(f"sqlite:///{tmp_path}/t.db", metadata, None)
    yield database
    await database.close()


@contextmanager
def held_up(database: Database) -> Iterator[Callable[[], object]]:
    """Somebody else holds what `wait_for_it` wants, until they are told to release it."""
    with database.backend.engine.connect() as connection:
        connection.execute(text("SELECT pg_advisory_lock(7)"))
        yield lambda: connection.execute(text("SELECT pg_advisory_unlock(7)"))


def wait_for_it(connection: Connection) -> str:
    connection.execute(text("SELECT pg_advisory_lock(7), pg_advisory_unlock(7)"))
    return "waited"


def names(connection: Connection) -> list[str]:
    return list(connection.scalars(select(things.c.name).order_by(things.c.name)))


def add_then_fail(connection: Connection, name: str) -> None:
    add(connection, name)
    raise CloudError("IN_USE", "on purpose")


async def test_what_was_written_is_read(database: Database) -> None:
    await database.write(add, "one")
    assert await database.read(names) == ["one"]


async def test_a_peek_sees_what_is_written_by_then_and_cannot_write(database: Database) -> None:
    assert await database.peek(names) == []
    await database.write(add, "one")
    assert await database.peek(names) == ["one"]
    with pytest.raises((DBAPIError, CloudError)):
        await database.peek(add, "two")
    await database.write(add, "three")
    assert await database.peek(names) == ["one", "three"]


async def test_a_unit_that_raises_is_undone_alone(database: Database) -> None:
    results = await asyncio.gather(
        database.write(add, "a"),
        database.write(add_then_fail, "b"),
        database.write(add, "c"),
        return_exceptions=True,
    )
    assert isinstance(results[1], CloudError)
    assert await database.read(names) == ["a", "c"]


async def test_a_broken_statement_leaves_the_others_of_its_group_alone(database: Database) -> None:
    id = await database.write(add, "first")
    results = await asyncio.gather(
        *(database.write(add, f"n{n}") for n in range(20)),
        database.write(add, "double", id),
        return_exceptions=True,
    )
    assert isinstance(results[-1], IntegrityError)
    assert len(await database.read(names)) == 21


async def test_many_units_at_once_are_all_there(database: Database) -> None:
    await asyncio.gather(*(database.write(add, f"{n:03}") for n in range(300)))
    assert len(await database.read(names)) == 300


async def test_a_read_cannot_write(database: Database) -> None:
    with pytest.raises((DBAPIError, CloudError)):
        await database.read(add, "sneaky")
    assert await database.read(names) == []
    await database.write(add, "honest")
    assert await database.read(names) == ["honest"]


async def test_units_on_sqlite_run_off_the_event_loop(sqlite: Database) -> None:
    here = threading.get_ident()
    assert await sqlite.write(lambda _: threading.get_ident()) != here
    assert await sqlite.read(lambda _: threading.get_ident()) != here


@pytest.mark.parametrize("way", ["write", "read", "peek"])
async def test_the_event_loop_goes_on_while_postgresql_works(postgresql: Database, way: str) -> None:
    with held_up(postgresql) as release:
        waits = asyncio.create_task(getattr(postgresql, way)(wait_for_it))
        assert await postgresql.peek(names) == []
        assert not waits.done()
        release()
        assert await waits == "waited"


@pytest.mark.parametrize("way", ["write", "read", "peek"])
async def test_who_gives_up_waiting_for_postgresql_spoils_nothing(postgresql: Database, way: str) -> None:
    with held_up(postgresql) as release:
        waits = asyncio.create_task(getattr(postgresql, way)(wait_for_it))
        assert await postgresql.peek(names) == []
        waits.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waits
        release()
    for number in range(20):
        await postgresql.write(add, f"{number:02}")
        assert len(await getattr(postgresql, way)(names)) == number + 1


@pytest.mark.parametrize("way", ["read", "peek"])
async def test_all_statements_of_a_read_see_one_state(database: Database, way: str) -> None:
    def twice(connection: Connection) -> tuple[int, int]:
        before = len(names(connection))
        with database.backend.engine.begin() as somebody_else:
            add(somebody_else, "meanwhile")
        return before, len(names(connection))

    look = getattr(database, way)
    first, again = await look(twice), await look(twice)
    assert (first[0], again[0]) == (first[1], again[1])
    assert len(await look(names)) > again[0] > 0, "somebody else did write"


@pytest.mark.parametrize("way", ["read", "peek"])
async def test_a_read_has_a_transaction_where_it_makes_several_statements(
    postgresql: Database, way: str
) -> None:
    def one(connection: Connection) -> str | None:
        return connection.scalar(_ISOLATION)

    def two(connection: Connection) -> str | None:
        connection.scalar(select(1))
        return connection.scalar(_ISOLATION)

    look = getattr(postgresql, way)
    for _ in range(3):
        assert await look(one) == "read committed"
        assert await look(two) == "repeatable read"


async def test_after_commit_is_called_when_it_is_committed_and_never_otherwise(database: Database) -> None:
    heard: list[str] = []

    def tell(connection: Connection, name: str, fail: bool) -> None:
        after_commit(connection, lambda: heard.append(name))
        if fail:
            raise CloudError("IN_USE", "on purpose")

    await database.write(tell, "kept", False)
    with pytest.raises(CloudError):
        await database.write(tell, "lost", True)
    assert heard == ["kept"]


async def test_units_that_count_up_one_row_lose_nothing(database: Database) -> None:
    id = await database.write(add, "counter")

    def up(connection: Connection) -> None:
        connection.execute(update(things).where(things.c.id == id).values(revision=things.c.revision + 1))

    await asyncio.gather(*(database.write(up) for _ in range(200)))
    assert await database.read(lambda c: c.scalar(select(things.c.revision))) == 201


async def test_units_that_want_each_others_rows_both_end(database: Database) -> None:
    first, second = await database.write(add, "a"), await database.write(add, "b")

    def touch(connection: Connection, *order: str) -> None:
        for id in order:
            compare_and_swap(connection, things, id, None, {})

    rounds = [(first, second), (second, first)] * 20
    await asyncio.gather(*(database.write(touch, *order) for order in rounds))
    assert await database.read(lambda c: c.scalar(select(func.sum(things.c.revision)))) == 82


async def test_compare_and_swap_bumps_the_revision_and_the_time(database: Database) -> None:
    id = await database.write(add, "old")
    before = await database.read(lambda c: c.execute(select(things)).one())
    row = await database.write(compare_and_swap, things, id, 1, {"name": "new"})
    assert (row.name, row.revision) == ("new", 2)
    assert row.updated_at >= before.updated_at
    assert row.created_at == before.created_at


async def test_compare_and_swap_refuses_an_old_revision_and_says_both(database: Database) -> None:
    id = await database.write(add, "x")
    await database.write(compare_and_swap, things, id, 1, {"name": "y"})
    with pytest.raises(CloudError) as caught:
        await database.write(compare_and_swap, things, id, 1, {"name": "z"})
    assert caught.value.reason == "REVISION_MISMATCH"
    assert caught.value.metadata == {"resource_type": "thing", "id": id, "expected": "1", "actual": "2"}


async def test_compare_and_swap_of_nothing_is_not_found(database: Database) -> None:
    with pytest.raises(CloudError) as caught:
        await database.write(compare_and_swap, things, ids.new(), None, {})
    assert caught.value.reason == "NOT_FOUND"


async def test_a_database_opened_again_holds_what_was_written(
    database: Database, database_url: str, metadata: MetaData
) -> None:
    await database.write(add, "durable")
    again = Database.open(database_url, metadata, None)
    assert await again.read(names) == ["durable"]
    await again.close()
