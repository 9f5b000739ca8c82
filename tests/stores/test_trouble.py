"""A database in trouble: clear errors, no secrets, and on with it when the trouble is over."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import (
    Column,
    Connection,
    LargeBinary,
    MetaData,
    String,
    Table,
    event,
    func,
    insert,
    select,
    text,
)

from mesh import columns, ids, tables, trouble
from mesh.database import Database
from mesh.errors import CloudError

_metadata = MetaData()
tables.add_to(_metadata)
blobs = Table(
    "blobs",
    _metadata,
    Column("id", String(36), primary_key=True),
    Column("data", LargeBinary),
    columns.Id("x"),
)


def put(connection: Connection, size: int) -> None:
    connection.execute(insert(blobs).values(id=ids.new(), data=b"x" * size, x=""))


def count(connection: Connection) -> int:
    return connection.scalar(select(func.count()).select_from(blobs)) or 0


@pytest.fixture
async def sqlite(tmp_path: Path) -> AsyncIterator[Database]:
    database = Database.open(f"sqlite:///{tmp_path}/t.db", _metadata, None)
    yield database
    await database.close()


@pytest.fixture
async def postgresql(postgres_schema: str) -> AsyncIterator[Database]:
    database = Database.open(postgres_schema, _metadata, None)
    yield database
    await database.close()


async def test_a_full_disk_is_said_and_nothing_half_written_stays(sqlite: Database) -> None:
    def limit(connection: Connection, pages: int) -> None:
        connection.exec_driver_sql(f"PRAGMA max_page_count={pages}")

    await sqlite.write(put, 10)
    pages = await sqlite.read(lambda c: c.scalar(text("PRAGMA page_count")))
    await sqlite.write(limit, pages)
    with pytest.raises(CloudError) as caught:
        await sqlite.write(put, 1 << 20)
    assert caught.value.reason == "STORAGE_FULL"
    assert "INSERT" not in caught.value.message
    assert await sqlite.read(count) == 1
    await sqlite.write(limit, 1_000_000)
    await sqlite.write(put, 1 << 20)
    assert await sqlite.read(count) == 2


async def test_an_outage_is_told_in_a_line_and_its_end_in_another(
    sqlite: Database, caplog: pytest.LogCaptureFixture
) -> None:
    pages = await sqlite.read(lambda c: c.scalar(text("PRAGMA page_count")))

    def no_room(connection: Any, *_: object) -> None:
        connection.execute(f"PRAGMA max_page_count={pages}")

    event.listen(sqlite.backend.engine, "connect", no_room)
    for _ in range(7):
        with pytest.raises(CloudError):
            await sqlite.write(put, 1 << 20)
        assert await sqlite.read(count) == 0  # reading is none the worse
    event.remove(sqlite.backend.engine, "connect", no_room)
    await sqlite.write(put, 1 << 20)
    said = [record for record in caplog.records if record.name == "mesh.trouble"]
    assert [record.exc_info for record in said] == [None, None]
    first, last = (record.getMessage() for record in said)
    assert first == "the database failed at writing: OperationalError: database or disk is full"
    assert last.startswith("the database works again at writing, after 7 failures in ")


def test_a_long_outage_is_told_once_a_minute_with_what_failed_since(
    caplog: pytest.LogCaptureFixture,
) -> None:
    now = 0.0
    told = trouble.Trouble("reading", lambda: now)
    for now in range(150):  # noqa: B007 - the clock reads it
        told.met(OSError("gone\nand more"))
    lines = [record.getMessage() for record in caplog.records]
    assert lines == [
        "the database failed at reading: OSError: gone",
        "the database has failed 61 times at reading in 60 s: OSError: gone",
        "the database has failed 121 times at reading in 120 s: OSError: gone",
    ]
    told.over()
    told.over()
    assert len(caplog.records) == 4


async def test_connections_cut_by_the_server_are_made_anew(postgresql: Database, postgres_url: str) -> None:
    await postgresql.write(put, 10)
    assert await postgresql.read(count) == 1
    other = Database.open(postgres_url, MetaData(), None)
    cut = text("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid()")
    await other.write(lambda c: c.execute(cut) and None)
    assert await postgresql.read(count) == 1
    outcomes = []
    for _ in range(4):  # each writer finds out once
        try:
            await postgresql.write(put, 10)
            outcomes.append("written")
        except CloudError as error:
            outcomes.append(error.reason)
    assert set(outcomes) <= {"written", "UNAVAILABLE"}
    assert outcomes[-1] == "written"
    assert await postgresql.read(count) == 1 + outcomes.count("written")
    await other.close()


def test_a_server_that_is_not_there_is_unavailable() -> None:
    with pytest.raises(CloudError) as caught:
        Database.open("postgresql+psycopg://nobody@127.0.0.1:1/none", _metadata, None)
    assert caught.value.reason == "UNAVAILABLE"
    assert "127.0.0.1" not in caught.value.message


@pytest.mark.parametrize("url", ["mysql://u@h/d", "sqlite://"])
def test_a_database_that_weft_does_not_know_is_refused(url: str) -> None:
    with pytest.raises(ValueError, match=r"use sqlite or postgresql|needs a file"):
        Database.open(url, _metadata, None)
