"""Group commit: a thread that runs waiting units in one transaction, each behind its own savepoint."""

import asyncio
import contextvars
import logging
import queue
import sqlite3
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import psycopg
from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError

from mesh import backends

if TYPE_CHECKING:
    from mesh.database import Database

# As many units as one COMMIT may carry: beyond, the first to come would wait for the last.
BATCH = 128
# A unit that met a deadlock, a lock or a serialisation failure is run again this often.
ATTEMPTS = 30
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


class Writer:
    """A thread with one connection that commits units in groups."""

    def __init__(self, backend: backends.Backend, number: int) -> None:
        self._backend = backend
        self._queue: queue.SimpleQueue[Unit | None] = queue.SimpleQueue()
        self._connection: Connection | None = None
        self._thread = threading.Thread(
            target=self._work, name=f"{backend.name}-writer-{number}", daemon=True
        )
        self._thread.start()

    def put(self, unit: Unit) -> None:
        """Queue a unit; its future tells the rest."""
        self._queue.put(unit)

    def stop(self) -> None:
        """Finish what is queued and end the thread."""
        self._queue.put(None)
        self._thread.join()

    def _work(self) -> None:
        stopping = False
        while not stopping:
            batch = [self._queue.get()]
            while len(batch) < BATCH and not self._queue.empty():
                batch.append(self._queue.get())
            stopping = None in batch
            units = [unit for unit in batch if unit is not None and not unit.future.cancelled()]
            if units:
                self._commit_all(units)
        if self._connection is not None:
            self._connection.close()

    def _commit_all(self, units: list[Unit]) -> None:
        try:
            self._connection = self._connection or self._backend.connect_writer()
            done, failed, again = self._transact(self._connection, units)
        except Exception as error:  # noqa: BLE001 - whatever it was, it is handed to everybody who waits
            self._abandon()
            done, failed, again = [], [(unit, self._translated(error)) for unit in units], []
        if done or failed:
            _settle(done, failed)
        for unit in again:
            self._queue.put(unit)

    def _transact(
        self, connection: Connection, units: list[Unit]
    ) -> tuple[list[Unit], list[tuple[Unit, BaseException]], list[Unit]]:
        """Run all units in one transaction: those done, those failed, those to be run again."""
        done: list[Unit] = []
        failed: list[tuple[Unit, BaseException]] = []
        again: list[Unit] = []
        execute = connection.connection.driver_connection.execute
        for statement in self._backend.begin:
            execute(statement)
        for unit in units:
            if unit is not units[0]:
                for statement in self._backend.between:
                    execute(statement)
            try:
                unit.run(connection)
            except BaseException as error:
                if self._backend.lost(connection):
                    raise
                execute("ROLLBACK TO SAVEPOINT unit")
                if backends.passing(error) and unit.attempts < ATTEMPTS:
                    again.append(unit)
                else:
                    failed.append((unit, self._translated(error)))
            else:
                done.append(unit)
        execute("COMMIT")
        if done:
            self._backend.writing.over()
        return done, failed, again

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


def _settle(done: list[Unit], failed: list[tuple[Unit, BaseException]]) -> None:
    """Wake each event loop once for all of its units."""

    def on_loop(loop: asyncio.AbstractEventLoop) -> None:
        for unit in done:
            if unit.loop is loop:
                unit.succeed()
        for unit, error in failed:
            if unit.loop is loop:
                unit.fail(error)

    for loop in {unit.loop for unit in done} | {unit.loop for unit, _ in failed}:
        if loop.is_closed():
            _log.warning("a unit of work ended after its event loop was closed")
        else:
            loop.call_soon_threadsafe(on_loop, loop)
