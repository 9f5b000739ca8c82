"""Who is in which group: until taken out, or, by a login from elsewhere, until a moment."""

from collections.abc import Iterable
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Select, delete, or_, select
from sqlalchemy.dialects import postgresql, sqlite

from mesh import clock
from services.identity.store import rights
from services.identity.tables import assignments, memberships

_INSERT: dict[str, Any] = {"sqlite": sqlite.insert, "postgresql": postgresql.insert}


def hold(now: Any = None) -> Any:
    """The condition that a membership holds, now unless another time is given."""
    at = clock.now() if now is None else now
    return or_(memberships.c.expires_at.is_(None), memberships.c.expires_at > at)


def groups_of(user_id: Any, now: Any = None) -> Select[Any]:
    """Ids of the groups that the user is in."""
    return select(memberships.c.group_id).where(memberships.c.user_id == user_id, hold(now))


def add(connection: Connection, group_id: str, user_id: str, until: datetime | None = None) -> None:
    """The user is in the group, for good or `until` then at least; one for good stays so."""
    row = {"group_id": group_id, "user_id": user_id, "expires_at": until}
    insert = _INSERT[connection.dialect.name](memberships).values(row)
    changed = insert.on_conflict_do_update(
        index_elements=["group_id", "user_id"],
        set_={"expires_at": until},
        where=memberships.c.expires_at.is_not(None),
    )
    connection.execute(changed)


def first_end(connection: Connection, user_id: str) -> datetime | None:
    """When the first of the groups ends that the user is in for some time only; None for no such group."""
    passing = (memberships.c.user_id == user_id, memberships.c.expires_at > clock.now())
    query = select(memberships.c.expires_at).where(*passing).order_by(memberships.c.expires_at).limit(1)
    return connection.scalar(query)


def replace_passing(connection: Connection, user_id: str, group_ids: Iterable[str], until: datetime) -> None:
    """The user is in these groups until then, and no longer in others by an earlier login from elsewhere;
    the tokens for what those have are revoked.
    """
    wanted = set(group_ids)
    passing = (memberships.c.user_id == user_id, memberships.c.expires_at.is_not(None))
    had = set(connection.scalars(select(memberships.c.group_id).where(*passing)))
    for group_id in sorted(had - wanted):
        connection.execute(delete(memberships).where(*passing, memberships.c.group_id == group_id))
        lost = connection.execute(select(assignments).where(assignments.c.group_id == group_id))
        rights.withdraw(connection, user_id, lost)
    for group_id in sorted(wanted):
        add(connection, group_id, user_id, until)


def forget(connection: Connection) -> int:
    """Delete those that are over; how many there were."""
    return connection.execute(delete(memberships).where(memberships.c.expires_at <= clock.now())).rowcount
