"""Failed logins, by whose they were and where they came from."""

from datetime import timedelta
from typing import Any

from sqlalchemy import Connection, Row, bindparam, case, delete, func, select
from sqlalchemy.dialects import postgresql, sqlite

from mesh import clock
from mesh.prepared import Prepared
from services.identity.tables import login_failures as table
from services.identity.tables import login_sources

_INSERT: dict[str, Any] = {"sqlite": sqlite.insert, "postgresql": postgresql.insert}


_SUBJECT, _SOURCE = bindparam("subject"), bindparam("source")
_HERE = (table.c.subject == _SUBJECT, table.c.source == _SOURCE)
_EVERYWHERE = select(func.coalesce(func.sum(table.c.failures), 0)).where(
    table.c.subject == _SUBJECT, table.c.last_at > bindparam("since", type_=table.c.last_at.type)
)
_KNOWN = select(login_sources.c.last_at).where(
    login_sources.c.user_id == _SUBJECT, login_sources.c.source == _SOURCE
)
# Made once, and asked once: it stands before the check of every password.
_STANDING = Prepared(
    select(
        func.coalesce(select(table.c.failures).where(*_HERE).scalar_subquery(), 0).label("failures"),
        select(table.c.last_at).where(*_HERE).scalar_subquery().label("last_at"),
        _EVERYWHERE.scalar_subquery().label("everywhere"),
        _KNOWN.scalar_subquery().label("known_at"),
    )
)


def standing(connection: Connection, subject: str, source: str, age: timedelta) -> Row[Any]:
    """How many `failures` there were in a row, and when the last (`last_at`); how many from `everywhere`, in
    rows whose last is not older than `age`; when the user was last noted to log in from there (`known_at`).
    """
    found = _STANDING.one(connection, subject=subject, source=source, since=clock.now() - age)
    assert found is not None  # sums of nothing are a row too
    return found


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
