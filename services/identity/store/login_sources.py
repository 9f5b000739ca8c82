"""Where users have logged in from by password."""

from datetime import timedelta
from typing import Any

from sqlalchemy import Connection, delete
from sqlalchemy.dialects import postgresql, sqlite

from mesh import clock
from services.identity.tables import login_sources as table

_INSERT: dict[str, Any] = {"sqlite": sqlite.insert, "postgresql": postgresql.insert}
# A place that nobody has logged in from for so long is a strange one.
FORGOTTEN = timedelta(days=30)
# A login from a known place is written down again only when the last note is as old as this.
FRESH = timedelta(days=1)


def note(connection: Connection, user_id: str, source: str) -> None:
    """The user has just logged in from there."""
    row = _INSERT[connection.dialect.name](table).values(user_id=user_id, source=source, last_at=clock.now())
    more = {"last_at": clock.now()}
    connection.execute(row.on_conflict_do_update(index_elements=["user_id", "source"], set_=more))


def forget(connection: Connection) -> int:
    """Delete those that are too old to count; how many there were."""
    return connection.execute(delete(table).where(table.c.last_at < clock.now() - FORGOTTEN)).rowcount
