"""Where users have logged in from by password."""

from datetime import timedelta
from typing import Any

from sqlalchemy import Connection, delete, select
from sqlalchemy.dialects import postgresql, sqlite

from mesh import clock
from services.identity.tables import login_sources as table

_INSERT: dict[str, Any] = {"sqlite": sqlite.insert, "postgresql": postgresql.insert}
FORGOTTEN = timedelta(days=30)
# A login from a known place is written down again only when the last note is as old as this.
FRESH = timedelta(days=1)


def known(connection: Connection, user_id: str, source: str, age: timedelta = FORGOTTEN) -> bool:
    """Whether the user has logged in from there within `age`."""
    query = select(table.c.last_at).where(table.c.user_id == user_id, table.c.source == source)
    last = connection.scalar(query)
    return last is not None and last > clock.now() - age


def note(connection: Connection, user_id: str, source: str) -> None:
    """The user has just logged in from there."""
    row = _INSERT[connection.dialect.name](table).values(user_id=user_id, source=source, last_at=clock.now())
    more = {"last_at": clock.now()}
    connection.execute(row.on_conflict_do_update(index_elements=["user_id", "source"], set_=more))


def forget(connection: Connection) -> int:
    """Delete those that are too old to count; how many there were."""
    return connection.execute(delete(table).where(table.c.last_at < clock.now() - FORGOTTEN)).rowcount
