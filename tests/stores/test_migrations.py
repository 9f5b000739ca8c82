"""Migrations written from tables, and databases brought up by them."""

import asyncio
import shutil
from pathlib import Path

import pytest
from sqlalchemy import Column, Connection, Integer, MetaData, String, Table, insert, inspect, select

from mesh import columns, migrate, tables
from mesh.database import Database


def shapes(*extra: Column) -> MetaData:  # type: ignore[type-arg]
    metadata = MetaData()
    tables.add_to(metadata)
    Table("shapes", metadata, *columns.resource_columns(), Column("corners", Integer), *extra)
    return metadata


@pytest.fixture
def migrations(tmp_path: Path) -> Path:
    return tmp_path / "migrations"


def column_names(connection: Connection) -> set[str]:
    return {column["name"] for column in inspect(connection).get_columns("shapes")}


async def test_the_first_migration_makes_the_services_tables_and_the_meshs(
    database_url: str, migrations: Path
) -> None:
    migrate.write(shapes(), migrations, "begin")
    database = Database.open(database_url, shapes(), migrations)
    found = await database.read(lambda c: set(inspect(c).get_table_names()))
    assert {"shapes", *tables.NAMES} <= found
    await database.close()


async def test_a_later_migration_adds_to_a_database_that_holds_data(
    database_url: str, migrations: Path
) -> None:
    migrate.write(shapes(), migrations, "begin")
    before = shapes()
    database = Database.open(database_url, before, migrations)
    row = insert(before.tables["shapes"]).values(name="square", project_id="p", status="NEW", corners=4)
    await database.write(lambda c: c.execute(row) and None)
    await database.close()

    after = shapes(Column("colour", String(16)))
    assert "colour" in migrate.write(after, migrations, "colours").read_text()
    database = Database.open(database_url, after, migrations)
    assert "colour" in await database.read(column_names)
    query = select(after.tables["shapes"].c["corners", "colour"])
    assert await database.read(lambda c: tuple(c.execute(query).one())) == (4, None)
    await database.close()


async def test_a_migration_that_ends_in_the_middle_changes_nothing_and_is_done_again(
    database_url: str, migrations: Path
) -> None:
    migrate.write(shapes(), migrations, "begin")
    after = shapes(Column("colour", String(16)), Column("size", String(16)))
    script = migrate.write(after, migrations, "colours and sizes")
    whole = script.read_text()
    *lines, last = whole.rstrip().splitlines()
    assert "size" in last
    script.write_text("\n".join([*lines, "    raise RuntimeError('in the middle')"]))
    with pytest.raises(RuntimeError, match="in the middle"):
        Database.open(database_url, after, migrations)
    script.write_text(whole)
    database = Database.open(database_url, after, migrations)
    assert {"corners", "colour", "size"} <= await database.read(column_names)
    await database.close()


async def test_an_older_version_opens_a_database_that_a_newer_one_has_migrated(
    database_url: str, tmp_path: Path
) -> None:
    older, newer = tmp_path / "older", tmp_path / "newer"
    before, after = shapes(), shapes(Column("colour", String(16)))
    migrate.write(before, older, "begin")
    shutil.copytree(older, newer)
    migrate.write(after, newer, "colours")
    await Database.open(database_url, after, newer).close()
    database = Database.open(database_url, before, older)
    row = insert(before.tables["shapes"]).values(name="square", project_id="p", status="NEW", corners=4)
    await database.write(lambda c: c.execute(row) and None)
    assert "colour" in await database.read(column_names)
    await database.close()


async def test_processes_that_open_an_empty_database_together_all_succeed(
    database_url: str, migrations: Path
) -> None:
    migrate.write(shapes(), migrations, "begin")
    opened = await asyncio.gather(
        *(asyncio.to_thread(_open_on_a_loop_of_its_own, database_url, migrations) for _ in range(4))
    )
    assert all("corners" in names for names in opened)


def _open_on_a_loop_of_its_own(url: str, migrations: Path) -> set[str]:
    async def work() -> set[str]:
        database = Database.open(url, shapes(), migrations)
        names = await database.read(column_names)
        await database.close()
        return names

    return asyncio.run(work())
