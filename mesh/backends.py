"""What differs between SQLite and PostgreSQL: how to connect, to begin, and what their errors mean."""

import sqlite3
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import orjson
import psycopg
from sqlalchemy import Connection, Engine, create_engine, event, make_url
from sqlalchemy.exc import DBAPIError, OperationalError
from sqlalchemy.pool import NullPool

from mesh import moment, postgres
from mesh.errors import CloudError
from mesh.snapshots import Look, at_once, within
from mesh.trouble import Trouble

# Serialisation failure, deadlock, and a lock not had within lock_timeout.
_PASSING_STATES = frozenset({"40001", "40P01", "55P03"})
_FULL_STATES = frozenset({"53100"})
# Below PostgreSQL's deadlock_timeout of 1 s: two groups that want each other's rows part and try again at
# once.
_LOCK_TIMEOUT = "200ms"


@dataclass(frozen=True, slots=True)
class Backend:
    """An engine, and how this kind of database wants to be used: `begin` opens a transaction to write; `put`
    makes statements that answer nothing; `look` runs what reads. `waits`: its connections can wait on the
    event loop.
    """

    name: str
    engine: Engine
    begin: str
    put: Callable[..., None]
    look: Look
    readers: int
    connect_reader: Callable[[], Connection]
    connect_writer: Callable[[], Connection]
    lost: Callable[[Connection], bool]
    waits: bool = False
    file: Path | None = None
    schema: str | None = None
    reading: Trouble = field(default_factory=lambda: Trouble("reading"))
    writing: Trouble = field(default_factory=lambda: Trouble("writing"))


def open(url: str) -> Backend:
    """The backend of a `sqlite:///file` or `postgresql+psycopg://` URL. Raises ValueError for another."""
    parsed = make_url(url)
    if parsed.get_backend_name() == "sqlite":
        if not parsed.database:
            raise ValueError(f"{url}: SQLite needs a file")
        return _sqlite(Path(parsed.database))
    if parsed.get_backend_name() == "postgresql":
        return _postgresql(url)
    raise ValueError(f"{parsed.get_backend_name()} is no database that weft knows: use sqlite or postgresql")


def _sqlite(path: Path) -> Backend:
    path.parent.mkdir(parents=True, exist_ok=True)
    engine = create_engine(
        f"sqlite:///{path}", poolclass=NullPool, connect_args={"check_same_thread": False, "timeout": 10}
    )

    @event.listens_for(engine, "connect")
    def prepare(connection: sqlite3.Connection, _: object) -> None:
        connection.isolation_level = None  # pysqlite must not begin transactions by itself
        moment.teach(connection)
        for pragma in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON", "cache_size=-8000"):
            connection.execute(f"PRAGMA {pragma}")

    def reader() -> Connection:
        connection = writer()
        connection.connection.driver_connection.execute("PRAGMA query_only=ON")
        return connection

    def writer() -> Connection:
        return engine.connect().execution_options(isolation_level="AUTOCOMMIT")

    def put(connection: Connection, *statements: str) -> None:
        for statement in statements:
            connection.connection.driver_connection.execute(statement)

    look = within("BEGIN", "ROLLBACK", put)

    def lost(connection: Connection) -> bool:
        # A full disk or an I/O error makes SQLite roll the whole transaction back by itself.
        return not connection.connection.driver_connection.in_transaction

    return Backend("sqlite", engine, "BEGIN IMMEDIATE", put, look, 4, reader, writer, lost, file=path)


def _postgresql(url: str) -> Backend:
    parsed = make_url(url)
    options = str(parsed.query.get("options", ""))
    schema = options.partition("search_path=")[2].split(" ")[0].split(",")[0] or None
    engine = create_engine(
        parsed.difference_update_query(["options"]),
        poolclass=NullPool,
        paramstyle="numeric_dollar",  # the server's own
        use_native_hstore=False,
        json_serializer=orjson.dumps,
        json_deserializer=orjson.loads,
        connect_args={"options": f"{options} -c lock_timeout={_LOCK_TIMEOUT}", "connect_timeout": 5},
    )

    @event.listens_for(engine, "do_connect")
    def open_one(_dialect: object, _record: object, words: Any, given: Any) -> psycopg.Connection[Any]:
        return postgres.Connection.connect(*words, **given)

    def writer() -> Connection:
        return engine.connect().execution_options(isolation_level="AUTOCOMMIT")

    def reader() -> Connection:
        connection = writer()
        connection.connection.driver_connection.execute("SET default_transaction_read_only = on")
        return connection

    def put(connection: Connection, *statements: str) -> None:
        connection.connection.driver_connection.put_off(*statements)

    # It ends by COMMIT: after ROLLBACK the driver's cursors would have every statement prepared anew.
    look = at_once(within("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY", "COMMIT", put))

    def lost(connection: Connection) -> bool:
        return connection.invalidated or connection.connection.driver_connection.closed

    return Backend(
        "postgresql", engine, "BEGIN", put, look, 8, reader, writer, lost, waits=True, schema=schema
    )


def _state(error: BaseException) -> str:
    original = error.orig if isinstance(error, DBAPIError) else error
    return getattr(original, "sqlstate", None) or ""


def passing(error: BaseException) -> bool:
    """Whether the same unit may well succeed when run again at once."""
    return _state(error) in _PASSING_STATES


def is_trouble(error: BaseException) -> bool:
    """Whether the error is the database's own trouble rather than the unit's."""
    return isinstance(error, OperationalError | sqlite3.OperationalError | psycopg.OperationalError)


def translate(error: BaseException, trouble: Trouble) -> CloudError:
    """What callers are told of the database's trouble; its words go to the log, and nowhere else."""
    trouble.met(error)
    original: Any = error.orig if isinstance(error, DBAPIError) else error
    if _state(error) in _FULL_STATES or getattr(original, "sqlite_errorcode", 0) == sqlite3.SQLITE_FULL:
        return CloudError("STORAGE_FULL", "The database has no room left on its disk.", service="database")
    return CloudError("UNAVAILABLE", "The database does not answer: try again.", service="database")
