"""Events, written in the same transaction as the change that they tell of."""

from datetime import timedelta
from typing import Literal

from google.protobuf.message import Message
from sqlalchemy import Connection, delete, func, insert, select, update

from mesh import clock
from mesh.database import after_commit, database_of
from mesh.prepared import Prepared
from mesh.tables import event_head, events

KEPT = timedelta(hours=24)
NUDGE = "events"
_NEXT = Prepared(
    update(event_head).values(revision=event_head.c.revision + 1).returning(event_head.c.revision)
)
_LATEST = Prepared(select(event_head.c.revision))
_OLDEST = Prepared(select(func.min(events.c.revision)))
_APPEND = Prepared(insert(events), *events.c.keys())


def append(
    connection: Connection,
    type: Literal["CREATED", "UPDATED", "DELETED"],
    resource_type: str,
    resource_id: str,
    project_id: str,
    payload: Message,
) -> int:
    """Append an event to the service's one ordered log; its revision.

    Revisions grow in the order of commits: whoever appends holds the head until it commits.
    """
    revision: int = _NEXT.scalar(connection)
    _APPEND.run(
        connection,
        revision=revision,
        type=type,
        resource_type=resource_type,
        resource_id=resource_id,
        project_id=project_id,
        payload=payload.SerializeToString(),
        created_at=clock.now(),
    )
    nudges = database_of(connection).nudges
    after_commit(connection, lambda: nudges.notify(NUDGE))
    return revision


def latest(connection: Connection) -> int:
    """The newest revision: what a list that is read in the same transaction shows."""
    return _LATEST.scalar(connection) or 0


def oldest(connection: Connection) -> int:
    """The oldest revision that is kept; one beyond the newest when none is."""
    return _OLDEST.scalar(connection) or latest(connection) + 1


def forget(connection: Connection) -> int:
    """Delete events older than 24 hours; how many there were."""
    return connection.execute(delete(events).where(events.c.created_at < clock.now() - KEPT)).rowcount
