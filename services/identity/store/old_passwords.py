"""The passwords that users had, as hashes, so that none comes back too soon."""

from typing import Any

from sqlalchemy import Connection, delete, insert, select

from mesh import clock
from services.identity.tables import old_passwords as table


def of(connection: Connection, user_id: str, count: int) -> list[str]:
    """The newest hashes of the user, `count` at most."""
    query = select(table.c.password_hash).where(table.c.user_id == user_id)
    return list(connection.scalars(query.order_by(table.c.set_at.desc()).limit(count)))


def add(connection: Connection, user_id: str, stored: str, keep: int) -> None:
    """One more; those beyond the newest `keep` are forgotten."""
    if keep:
        connection.execute(insert(table).values(user_id=user_id, set_at=clock.now(), password_hash=stored))
    newest: Any = select(table.c.set_at).where(table.c.user_id == user_id)
    kept = list(connection.scalars(newest.order_by(table.c.set_at.desc()).limit(keep)))
    connection.execute(delete(table).where(table.c.user_id == user_id, table.c.set_at.not_in(kept)))
