"""Failed logins, by whose they were and where they came from."""

from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, case, delete, func, select
from sqlalchemy.dialects import postgresql, sqlite

from mesh import clock
from services.identity.tables import login_failures as table

_INSERT: dict[str, Any] = {"sqlite": sqlite.insert, "postgresql": postgresql.insert}


def of(connection: Connection, subject: str, source: str) -> tuple[int, datetime | None]:
    """How many there were in a row, and when the last was."""
    query = select(table).where(table.c.subject == subject, table.c.source == source)
    row = connection.execute(query).one_or_none()
    return (row.failures, row.last_at) if row is not None else (0, None)


def everywhere(connection: Connection, subject: str, age: timedelta) -> int:
    """How many there were of one subject from all places, in rows whose last is not older than `age`."""
    total = select(func.coalesce(func.sum(table.c.failures), 0))
    return int(
        connection.scalar(total.where(table.c.subject == subject, table.c.last_at > clock.now() - age)) or 0
    )


def add(connection: Connection, subject: str, source: str, age: timedelta) -> None:
    """One more; the first again when the last was longer ago than `age`."""
    insert = _INSERT[connection.dialect.name](table)
    row = insert.values(subject=subject, source=source, failures=1, last_at=clock.now())
    count = case((table.c.last_at < clock.now() - age, 1), else_=table.c.failures + 1)
    more = {"failures": count, "last_at": clock.now()}
    connection.execute(row.on_conflict_do_update(index_elements=["subject", "source"], set_=more))


def clear(connection: Connection, subject: str, source: str) -> None:
    """They are forgiven."""
    connection.execute(delete(table).where(table.c.subject == subject, table.c.source == source))


def forget(connection: Connection, age: timedelta) -> int:
    """Delete those older than `age`; how many there were."""
    return connection.execute(delete(table).where(table.c.last_at < clock.now() - age)).rowcount
