"""Migrations since the version that landed last only add: what it reads and writes stays as it is."""

import importlib
from pathlib import Path

import pytest
from alembic import command
from sqlalchemy import Column, Engine, MetaData, String, create_engine, inspect

from mesh import migrate
from services.__main__ import SERVICES
from tests.upgrade import landed


def migrated(tmp_path: Path, service: str, revision: str) -> Engine:
    """A database of the service at that revision."""
    module = importlib.import_module(f"services.{service}.__main__")
    engine = create_engine(f"sqlite:///{tmp_path}/{service}-{revision}.db")
    with engine.begin() as connection:
        settings = migrate.config(connection, module.TABLES, Path(module.MIGRATIONS))
        command.upgrade(settings, revision)
    return engine


def broken(before: Engine, after: Engine) -> list[str]:
    """What the version before would miss, or could not do, on the database after."""
    old, new = (_tables(engine) for engine in (before, after))
    found = [f"the table {name} is gone" for name in old.keys() - new.keys()]
    for name in old.keys() & new.keys():
        was, now = old[name], new[name]
        found += [f"{name}.{column} is gone" for column in was.keys() - now.keys()]
        for column in now.keys() - was.keys():
            if not now[column].nullable and now[column].server_default is None:
                found.append(f"{name}.{column} must be given, and who does not know it cannot")
        for column in was.keys() & now.keys():
            if was[column].nullable and not now[column].nullable:
                found.append(f"{name}.{column} must be given now")
            if not _holds(now[column].type, was[column].type):
                found.append(f"{name}.{column} does not hold what it held")
        found += [f"{name} refuses two equal {columns}" for columns in _unique(after, name, before)]
    return sorted(found)


def _tables(engine: Engine) -> dict[str, dict[str, Column]]:
    """Columns by name, by table."""
    metadata = MetaData()
    metadata.reflect(engine)
    return {name: dict(table.columns) for name, table in metadata.tables.items()}


def _holds(now: object, was: object) -> bool:
    if isinstance(now, String) and isinstance(was, String):
        return now.length is None or (was.length is not None and now.length >= was.length)
    return type(now) is type(was)


def _unique(after: Engine, table: str, before: Engine) -> list[tuple[str, ...]]:
    """Columns of the table before that have to be unique only since."""

    def of(engine: Engine) -> set[tuple[str, ...]]:
        look = inspect(engine)
        constraints = look.get_unique_constraints(table)
        indexes = [index for index in look.get_indexes(table) if index["unique"]]
        return {tuple(sorted(filter(None, each["column_names"]))) for each in (*constraints, *indexes)}

    known = {column["name"] for column in inspect(before).get_columns(table)}
    return [columns for columns in of(after) - of(before) if set(columns) <= known]


@pytest.mark.parametrize("service", SERVICES)
def test_migrations_since_the_landed_version_only_add(tmp_path: Path, service: str) -> None:
    revision = landed.read().revisions[service]
    before, after = (migrated(tmp_path, service, each) for each in (revision, landed.newest(service)))
    assert broken(before, after) == []
    before.dispose()
    after.dispose()


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ("DROP TABLE things", "the table things is gone"),
        ("ALTER TABLE things DROP COLUMN size", "things.size is gone"),
        ("ALTER TABLE things RENAME COLUMN size TO width", "things.size is gone"),
        ("CREATE UNIQUE INDEX one ON things (name)", "things refuses two equal ('name',)"),
    ],
)
def test_a_migration_that_takes_away_is_found_out(tmp_path: Path, change: str, why: str) -> None:
    engines = [create_engine(f"sqlite:///{tmp_path}/{name}.db") for name in ("before", "after")]
    for engine in engines:
        with engine.begin() as connection:
            connection.exec_driver_sql("CREATE TABLE things (name VARCHAR(10) NOT NULL, size INTEGER)")
    assert broken(*engines) == []
    with engines[1].begin() as connection:
        connection.exec_driver_sql(change)
    assert why in broken(*engines)


def test_a_column_that_must_be_given_needs_a_default(tmp_path: Path) -> None:
    engines = [create_engine(f"sqlite:///{tmp_path}/{name}.db") for name in ("before", "good", "bad")]
    for engine, column in zip(
        engines, ("", ", b INTEGER NOT NULL DEFAULT 0", ", b INTEGER NOT NULL"), strict=True
    ):
        with engine.begin() as connection:
            connection.exec_driver_sql(f"CREATE TABLE things (a INTEGER NOT NULL{column})")
    before, good, bad = engines
    assert broken(before, good) == []
    assert broken(before, bad) == ["things.b must be given, and who does not know it cannot"]
