"""A service's database: units of work run off the event loop, committed in groups, on SQLite or PostgreSQL.

A unit is a function of a SQLAlchemy connection. `write` answers when the unit is durably committed; units
that wait at the same time share one COMMIT, each behind its own savepoint, so that one which raises is rolled
back alone. `read` and `peek` run beside the writers on a snapshot and cannot write.
"""

import asyncio
import contextvars
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from pathlib import Path
from typing import Any, Concatenate, ParamSpec, TypeVar

from sqlalchemy import ClauseElement, Connection, MetaData, Row, Table, bindparam, select, text, update
from sqlalchemy.exc import DBAPIError

from mesh import backends, clock, migrate
from mesh.commits import Unit, Writer, unit_of
from mesh.errors import CloudError, not_found
from mesh.nudges import Nudges
from mesh.prepared import Prepared

_END = Prepared(text("ROLLBACK"))
P = ParamSpec("P")
T = TypeVar("T")


class Database:
    """One service's database. Made by `open`, on the event loop that will use it."""

    def __init__(self, backend: backends.Backend) -> None:
        self.backend = backend
        self.nudges = Nudges()
        self.companions: dict[str, Any] = {}  # what lives as long as the database: its tail, its flow engine
        self._writers = [Writer(backend, number) for number in range(backend.writers)]
        self._readers = ThreadPoolExecutor(backend.readers, thread_name_prefix=f"{backend.name}-reader")
        self._local = threading.local()
        self._open: list[Connection] = []
        self._turn = 0

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
        context = contextvars.copy_context()
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._readers, context.run, self._read, fn, args, kw)

    async def peek(self, fn: Callable[Concatenate[Connection, P], T], *args: P.args, **kw: P.kwargs) -> T:
        """`read` for a few rows that an index finds. On SQLite it runs in place: a way to a thread and
        back, with the interpreter's lock changing hands, takes several times as long as such a read.
        """
        if self.backend.file is None:
            return await self.read(fn, *args, **kw)
        return self._read(fn, args, kw)

    async def write(self, fn: Callable[Concatenate[Connection, P], T], *args: P.args, **kw: P.kwargs) -> T:
        """Run `fn(connection, ...)` as one unit of work: durable when this returns, undone when it raises.

        `fn` may be run again when the database asks for it (a deadlock), so it has no effect but its SQL.
        """
        unit = Unit(self, fn, args, kw)
        self._turn = (self._turn + 1) % len(self._writers)
        self._writers[self._turn].put(unit)
        return await unit.future

    async def close(self) -> None:
        """Finish what is queued, then let go of every connection."""
        await asyncio.to_thread(self._close)

    def _close(self) -> None:
        for writer in self._writers:
            writer.stop()
        self._readers.shutdown()
        for connection in self._open:
            connection.close()
        self.backend.engine.dispose()

    def _read(self, fn: Callable[..., T], args: tuple[Any, ...], kw: dict[str, Any]) -> T:
        for attempt in (1, 2):
            connection = self._reader()
            try:
                self.backend.look.run(connection)
                found = fn(connection, *args, **kw)
                self.backend.reading.over()
                return found
            except DBAPIError as error:
                if error.connection_invalidated and attempt == 1:
                    continue  # the server closed an idle connection: a read is safe to repeat on a new one
                if backends.is_trouble(error):
                    raise backends.translate(error, self.backend.reading) from error
                raise
            finally:
                self._end_read(connection)
        raise AssertionError("unreachable")

    def _reader(self) -> Connection:
        connection = getattr(self._local, "connection", None)
        if connection is None or connection.closed:
            try:
                connection = self._local.connection = self.backend.connect_reader()
            except DBAPIError as error:
                raise backends.translate(error, self.backend.reading) from error
            self._open.append(connection)
        return connection

    def _end_read(self, connection: Connection) -> None:
        if not connection.invalidated:
            try:
                _END.run(connection)
                return
            except DBAPIError:  # of no use any more, whatever is wrong with it
                connection.invalidate()
        self._open.remove(connection)
        connection.close()


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
