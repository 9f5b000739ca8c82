"""A service's database: units of work run off the event loop, committed in groups, on SQLite or PostgreSQL.

A unit is a function of a SQLAlchemy connection. `write` answers when the unit is durably committed; units
that wait at the same time share one COMMIT, each behind its own savepoint, so that one which raises is rolled
back alone. `read` and `peek` run beside the writers on a snapshot and cannot write.
"""

import asyncio
import contextvars
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from pathlib import Path
from typing import Any, Concatenate, ParamSpec, TypeVar

from sqlalchemy import ClauseElement, Connection, MetaData, Row, Table, bindparam, select, update
from sqlalchemy.exc import DBAPIError

from mesh import backends, clock, fibers, migrate, writers
from mesh.commits import Unit, unit_of
from mesh.errors import CloudError, not_found
from mesh.nudges import Nudges
from mesh.prepared import Prepared
from mesh.readers import Readers

P = ParamSpec("P")
T = TypeVar("T")


class Database:
    """One service's database. Made by `open`, on the event loop that will use it."""

    def __init__(self, backend: backends.Backend) -> None:
        self.backend = backend
        self.nudges = Nudges()
        self.companions: dict[str, Any] = {}  # what lives as long as the database: its tail, its flow engine
        self._writer = writers.of(backend)
        self._threads = ThreadPoolExecutor(backend.readers, thread_name_prefix=f"{backend.name}-reader")
        self._apart = Readers(backend, self._in_thread, self._threads)
        self._here = Readers(backend, fibers.run if backend.waits else _in_place, self._threads)

    @classmethod
    def open(cls, url: str, metadata: MetaData, migrations: Path | None) -> "Database":
        """Open `url`, brought to the newest migration under a lock.

        Without `migrations` the tables of `metadata` are created as they are, which is for databases that
        live no longer than a test. Raises CloudError UNAVAILABLE when the database does not answer.
        """
        backend = backends.open(url)
        try:
            migrate.upgrade(backend, metadata, migrations)
        except DBAPIError as error:
            raise backends.translate(error, backend.writing) from error
        return cls(backend)

    async def read(self, fn: Callable[Concatenate[Connection, P], T], *args: P.args, **kw: P.kwargs) -> T:
        """Run `fn(connection, ...)` on a snapshot in which nothing can be written."""
        return await self._apart.look(fn, args, kw)

    async def peek(self, fn: Callable[Concatenate[Connection, P], T], *args: P.args, **kw: P.kwargs) -> T:
        """`read` for a few rows that an index finds: on the event loop's own thread. A way to another and
        back, with the interpreter's lock changing hands, takes several times as long as such a read.
        """
        return await self._here.look(fn, args, kw)

    async def write(self, fn: Callable[Concatenate[Connection, P], T], *args: P.args, **kw: P.kwargs) -> T:
        """Run `fn(connection, ...)` as one unit of work: durable when this returns, undone when it raises.

        `fn` may be run again when the database asks for it (a deadlock), so it has no effect but its SQL.
        """
        unit = Unit(self, fn, args, kw)
        self._writer.put(unit)
        return await unit.future

    async def close(self) -> None:
        """Finish what is queued, then let go of every connection."""
        await self._writer.stop()
        await asyncio.to_thread(self._threads.shutdown)
        self._apart.close()
        self._here.close()
        self.backend.engine.dispose()

    async def _in_thread(self, fn: Callable[..., T], *args: Any) -> T:
        run = contextvars.copy_context().run
        return await asyncio.get_running_loop().run_in_executor(self._threads, run, fn, *args)


async def _in_place(fn: Callable[..., T], *args: Any) -> T:
    return fn(*args)


def after_commit(connection: Connection, callback: Callable[[], object]) -> None:
    """Call `callback` on the event loop once the unit that `connection` serves is committed; never if it is
    not.
    """
    unit_of(connection).callbacks.append(callback)


def database_of(connection: Connection) -> Database:
    """The database whose unit `connection` serves."""
    return unit_of(connection).database


def compare_and_swap(
    connection: Connection, table: Table, id: str, expected_revision: int | None, values: dict[str, Any]
) -> Row[Any]:
    """Change one resource, bump its revision and updated_at, and answer the new row.

    `expected_revision` None or 0 means whichever it has. Raises NOT_FOUND, or REVISION_MISMATCH when somebody
    else was first. The table's `info["resource_type"]`, else its name without the plural s, names it in
    errors.
    """
    plain = {name: value for name, value in values.items() if not isinstance(value, ClauseElement)}
    given: dict[str, Any] = {f"new_{name}": value for name, value in plain.items()}
    given |= {"held_id": id, "new_updated_at": clock.now()}
    if expected_revision:
        given["held_revision"] = expected_revision
    # What the database itself is to compute is part of the statement.
    computed = tuple((name, value) for name, value in values.items() if name not in plain)
    row = _swap(table, tuple(plain), computed, bool(expected_revision)).one(connection, **given)
    if row is not None:
        return row
    kind = table.info.get("resource_type") or table.name.removesuffix("s")
    actual = connection.scalar(select(table.c.revision).where(table.c.id == id))
    if actual is None:
        raise not_found(kind, id)
    raise CloudError(
        "REVISION_MISMATCH",
        f"The {kind} {id} is at revision {actual}, not {expected_revision}: read it again.",
        resource_type=kind,
        id=id,
        expected=expected_revision,
        actual=actual,
    )


@lru_cache(maxsize=1024)
def _swap(
    table: Table, names: tuple[str, ...], computed: tuple[tuple[str, ClauseElement], ...], checked: bool
) -> Prepared:
    """The statement that sets these columns."""
    change = update(table).where(table.c.id == bindparam("held_id")).returning(table)
    if checked:
        change = change.where(table.c.revision == bindparam("held_revision"))
    changed = {name: bindparam(f"new_{name}", type_=table.c[name].type) for name in (*names, "updated_at")}
    return Prepared(change.values({**changed, **dict(computed), "revision": table.c.revision + 1}))
