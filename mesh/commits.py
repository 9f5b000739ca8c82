"""Group commit: units that wait share a transaction, each behind a savepoint where they are several."""

import asyncio
import contextvars
import logging
import sqlite3
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any, cast

import psycopg
from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError

from mesh import backends

if TYPE_CHECKING:
    from mesh.database import Database

# A unit that met a deadlock, a lock or a serialisation failure is run again this often.
ATTEMPTS = 30
_FIRST = ("SAVEPOINT unit",)
_NEXT = ("RELEASE SAVEPOINT unit", "SAVEPOINT unit")
_log = logging.getLogger(__name__)


class Unit:
    """A function of a connection, and the future of its answer."""

    __slots__ = (
        "args",
        "attempts",
        "callbacks",
        "context",
        "database",
        "fn",
        "future",
        "kw",
        "loop",
        "outcome",
    )

    def __init__(
        self, database: "Database", fn: Callable[..., Any], args: tuple[Any, ...], kw: dict[str, Any]
    ) -> None:
        self.database, self.fn, self.args, self.kw = database, fn, args, kw
        self.loop = asyncio.get_running_loop()
        self.future: asyncio.Future[Any] = self.loop.create_future()
        self.context = contextvars.copy_context()
        self.callbacks: list[Callable[[], object]] = []
        self.outcome: Any = None
        self.attempts = 0

    def run(self, connection: Connection) -> None:
        """Run the function in the context of whoever asked for it."""
        self.callbacks.clear()
        self.attempts += 1
        connection.info["unit"] = self
        self.outcome = self.context.run(self.fn, connection, *self.args, **self.kw)

    def succeed(self) -> None:
        """On the loop: hand out the answer, then call what waited for the commit."""
        if not self.future.done():
            self.future.set_result(self.outcome)
        for callback in self.callbacks:
            callback()

    def fail(self, error: BaseException) -> None:
        """On the loop: hand out the failure."""
        if not self.future.done():
            self.future.set_exception(error)


def unit_of(connection: Connection) -> Unit:
    """The unit that a writing connection serves. Raises LookupError on a reading one."""
    unit = connection.info.get("unit")
    if unit is None:
        raise LookupError("this connection serves no unit of work: call it through Database.write")
    return unit


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a group: units that are committed, that failed, and that are to be run again."""

    done: list[Unit] = field(default_factory=list)
    failed: list[tuple[Unit, BaseException]] = field(default_factory=list)
    again: list[Unit] = field(default_factory=list)


class Committer:
    """One connection that commits groups of units."""

    def __init__(self, backend: backends.Backend) -> None:
        self._backend = backend
        self._connection: Connection | None = None

    @property
    def connected(self) -> bool:
        """Whether there is a connection; `commit` makes one where there is none."""
        return self._connection is not None

    def connect(self) -> None:
        """Make the connection. Raises what the driver raises."""
        self._connection = self._connection or self._backend.connect_writer()

    def commit(self, units: list[Unit]) -> Outcome:
        """Run the units in one transaction."""
        try:
            self.connect()
            return self._transact(cast(Connection, self._connection), units)
        except Exception as error:  # noqa: BLE001 - whatever it was, it is handed to everybody who waits
            self._abandon()
            return self.failed(units, error)

    def failed(self, units: list[Unit], error: BaseException) -> Outcome:
        """No unit was committed, since the whole group failed."""
        return Outcome(failed=[(unit, self._translated(error)) for unit in units])

    def close(self) -> None:
        """Let go of the connection."""
        if self._connection is not None:
            self._connection.close()

    def _transact(self, connection: Connection, units: list[Unit]) -> Outcome:
        outcome, put = Outcome(), partial(self._backend.put, connection)
        execute = connection.connection.driver_connection.execute
        put(self._backend.begin)
        undo = "ROLLBACK TO SAVEPOINT unit" if len(units) > 1 else "ROLLBACK"
        for unit in units:
            if len(units) > 1:
                put(*(_FIRST if unit is units[0] else _NEXT))
            try:
                unit.run(connection)
            except BaseException as error:
                if self._backend.lost(connection):
                    raise
                execute(undo)
                if backends.passing(error) and unit.attempts < ATTEMPTS:
                    outcome.again.append(unit)
                else:
                    outcome.failed.append((unit, self._translated(error)))
            else:
                outcome.done.append(unit)
        if outcome.done or len(units) > 1:
            execute("COMMIT")
        if outcome.done:
            self._backend.writing.over()
        return outcome

    def _translated(self, error: BaseException) -> BaseException:
        trouble = self._backend.writing
        return backends.translate(error, trouble) if backends.is_trouble(error) else error

    def _abandon(self) -> None:
        """Throw the connection away: closing it rolls back whatever it held."""
        connection, self._connection = self._connection, None
        if connection is None:
            return
        try:
            connection.invalidate()
            connection.close()
        except (DBAPIError, sqlite3.Error, psycopg.Error):
            _log.warning("a broken database connection could not be closed", exc_info=True)
