"""Migrations: every service's database is brought to its newest revision when it is opened.

`python -m mesh.migrate SERVICE -m "text"` writes a new migration from what differs between the service's
tables and its migrations.
"""

import argparse
import fcntl
import importlib
import logging
import re
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, MetaData, text

from mesh import backends, tables

_SCRIPTS = Path(__file__).parent / "migrations"
# The key of PostgreSQL's advisory lock: `weft` in ASCII. It holds within one database, for all schemas.
_LOCK = 0x77656674
_log = logging.getLogger(__name__)
# Alembic's `context` is one per process.
_alembic = threading.Lock()


def config(connection: Connection, metadata: MetaData, migrations: Path) -> Config:
    """Alembic's configuration for one service, with the shared environment of the mesh."""
    settings = Config()
    settings.set_main_option("script_location", str(_SCRIPTS))
    settings.set_main_option("version_locations", str(migrations))
    settings.set_main_option("path_separator", "newline")
    settings.attributes.update(connection=connection, metadata=metadata)
    return settings


def upgrade(backend: backends.Backend, metadata: MetaData, migrations: Path | None) -> None:
    """Bring the database to the newest revision; processes that start together wait for each other."""
    with backend.engine.connect() as connection, _alone(backend, connection):
        if backend.schema:
            connection.execute(text(f'CREATE SCHEMA IF NOT EXISTS "{backend.schema}"'))
            connection.commit()
        if migrations is None:
            _begin(connection)
            _create(connection, metadata)
        else:
            _upgrade(connection, metadata, migrations)
        connection.commit()


def _create(connection: Connection, metadata: MetaData) -> None:
    if not connection.dialect.has_table(connection, tables.event_head.name):
        tables.create(SimpleNamespace(get_bind=lambda: connection))
    metadata.create_all(connection)


def _upgrade(connection: Connection, metadata: MetaData, migrations: Path) -> None:
    settings = config(connection, metadata, migrations)
    scripts = ScriptDirectory.from_config(settings)
    current = set(MigrationContext.configure(connection).get_current_heads())
    if current - {script.revision for script in scripts.walk_revisions()}:
        # Migrations only add: while both versions run, the older one works with what the newer one has made.
        _log.info("a later version has migrated the database to %s", ", ".join(sorted(current)))
        return
    if current != set(scripts.get_heads()):
        with _alembic:
            _begin(connection)
            command.upgrade(settings, "head")


def _begin(connection: Connection) -> None:
    """All of it or nothing: a process that dies meanwhile leaves the database as it was, and is not one fsync
    for each statement. PostgreSQL's connections have begun by themselves.
    """
    if connection.dialect.name == "sqlite":
        connection.exec_driver_sql("BEGIN IMMEDIATE")


@contextmanager
def _alone(backend: backends.Backend, connection: Connection) -> Iterator[None]:
    """Nobody else migrates the same database meanwhile."""
    if backend.file is not None:
        with backend.file.with_suffix(".migrating").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield
        return
    with backend.engine.connect() as holder:
        holder.execute(text("SET lock_timeout = 0"))
        holder.execute(text("SELECT pg_advisory_lock(:key)"), {"key": _LOCK})
        yield
        holder.execute(text("SELECT pg_advisory_unlock(:key)"), {"key": _LOCK})


def write(metadata: MetaData, migrations: Path, message: str) -> Path:
    """Write the migration from what `migrations` make to what `metadata` says, found on a scratch SQLite."""
    migrations.mkdir(exist_ok=True)
    number = len(list(migrations.glob("[0-9]*.py"))) + 1
    with tempfile.TemporaryDirectory() as scratch:
        backend = backends.open(f"sqlite:///{scratch}/scratch.db")
        with backend.engine.connect() as connection:
            settings = config(connection, metadata, migrations)
            if number > 1:
                command.upgrade(settings, "head")
                connection.commit()
            script = command.revision(settings, message, autogenerate=True, rev_id=f"{number:04}")
        backend.engine.dispose()
    path = Path(script.path)  # type: ignore[union-attr]
    path.write_text(re.sub(r" *# ###.*\n", "", path.read_text()))
    _tidy(path)
    return path


def _tidy(path: Path) -> None:
    """Shape what alembic wrote like the rest of the code. ruff comes with the development tools."""
    for arguments in (("check", "--quiet", "--fix"), ("format", "--quiet")):
        subprocess.run([sys.executable, "-m", "ruff", *arguments, str(path)], check=True)


def main() -> None:
    """Write a service's next migration, from what differs between its tables and its migrations."""
    parser = argparse.ArgumentParser(prog="python -m mesh.migrate", description=main.__doc__)
    parser.add_argument("service")
    parser.add_argument("-m", "--message", required=True, help="what it does, in a few words")
    given = parser.parse_args()
    package = importlib.import_module(f"services.{given.service}.__main__")
    print(write(package.TABLES, Path(package.MIGRATIONS), given.message))


if __name__ == "__main__":
    main()
