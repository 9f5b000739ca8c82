"""The time by the database's clock, as part of a statement.

What one replica writes and another compares (leases, signs of life, deadlines) has to be told by one clock,
or to a replica whose own is ahead everybody else is dead. SQLite has its process's: there is no other.
"""

import sqlite3
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Any

from sqlalchemy import BigInteger, ColumnElement, Connection, select, type_coerce
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.functions import FunctionElement

from mesh import clock
from mesh.columns import EPOCH, Timestamp, micros
from mesh.prepared import Prepared


class _Microseconds(FunctionElement[int]):
    """Since the epoch, when the statement begins."""

    type = BigInteger()
    name = "weft_now"
    inherit_cache = True


@compiles(_Microseconds, "sqlite")
def _on_sqlite(*_: Any, **__: Any) -> str:
    return "weft_now()"


@compiles(_Microseconds, "postgresql")
def _on_postgresql(*_: Any, **__: Any) -> str:
    return "CAST(EXTRACT(EPOCH FROM statement_timestamp()) * 1000000 AS BIGINT)"


def teach(connection: sqlite3.Connection) -> None:
    """Make the clock of this process known to SQLite."""
    connection.create_function("weft_now", 0, lambda: micros(clock.now() - EPOCH))


@lru_cache(maxsize=64)  # the same expression each time: a statement made of it is known by it
def now(later: timedelta | ColumnElement[int] = timedelta(0)) -> ColumnElement[datetime]:
    """The present, or so much later than it: a span, or an expression in microseconds."""
    shift = micros(later) if isinstance(later, timedelta) else later
    return type_coerce(_Microseconds() + shift, Timestamp())


_READ = Prepared(select(now().label("now")))


def read(connection: Connection) -> datetime:
    """The present, for what is computed elsewhere."""
    found: datetime = _READ.scalar(connection)
    return found
