"""Watch streams: events from a revision on, read once for all watchers of a process and handed to each."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sqlalchemy import Connection, Row, bindparam, select

from mesh import outbox
from mesh.errors import CloudError
from mesh.prepared import Prepared
from mesh.tables import events

if TYPE_CHECKING:
    from mesh.database import Database

# Events appended by other replicas are seen at the latest after this many seconds.
POLL = 1.0
# A watcher that is this many events behind is cut: it lists again instead of being fed gaps.
BACKLOG = 1000
_PAGE = 500
# As many as are read at once for all watchers.
_TAIL = 100
_NEWER = select(events).where(events.c.revision > bindparam("after")).order_by(events.c.revision)
_NEWER = _NEWER.limit(bindparam("most"))
_ALL_NEWER = Prepared(_NEWER)
_SOME_NEWER = Prepared(_NEWER.where(events.c.resource_type.in_(bindparam("types", expanding=True))))


@dataclass(frozen=True, slots=True)
class Event:
    """A change: `type` is CREATED, UPDATED or DELETED; `payload` the serialized resource."""

    revision: int
    type: str
    resource_type: str
    resource_id: str
    project_id: str
    payload: bytes


class _Watcher:
    def __init__(self, resource_types: frozenset[str], reach: str | None) -> None:
        self.resource_types, self.reach = resource_types, reach
        self.queue: asyncio.Queue[Event] = asyncio.Queue(BACKLOG)
        self.lagging = False

    def wants(self, event: Event) -> bool:
        if self.resource_types and event.resource_type not in self.resource_types:
            return False
        return self.reach is None or event.project_id == self.reach

    def offer(self, event: Event) -> None:
        if self.wants(event):
            try:
                self.queue.put_nowait(event)
            except asyncio.QueueFull:
                self.lagging = True


class _Tail:
    """Follows one database's events while anybody watches."""

    def __init__(self, database: "Database") -> None:
        self._database = database
        self._watchers: set[_Watcher] = set()
        self._task: asyncio.Task[None] | None = None
        self._revision = 0

    async def join(self, watcher: _Watcher) -> None:
        """From here on the watcher is offered every event that commits."""
        if self._task is None or self._task.done():
            newest = await self._database.peek(outbox.latest)
            if self._task is None or self._task.done():
                self._revision = newest
                self._task = asyncio.create_task(self._follow(), name="watch tail")
        self._watchers.add(watcher)

    def leave(self, watcher: _Watcher) -> None:
        self._watchers.discard(watcher)
        if not self._watchers and self._task:
            self._task.cancel()
            self._task = None

    async def _follow(self) -> None:
        with self._database.nudges.listen(outbox.NUDGE) as listener:
            while True:
                try:
                    rows = await self._database.peek(_after, self._revision, None, _TAIL)
                except CloudError:
                    rows = []  # the database is away: watchers wait, and miss nothing when it is back
                for row in rows:
                    self._hand_out(row)
                if len(rows) < _TAIL:
                    await listener.wait(POLL)

    def _hand_out(self, event: Event) -> None:
        self._revision = event.revision
        for watcher in self._watchers:
            watcher.offer(event)


async def stream(
    database: "Database", resource_type: str | tuple[str, ...], from_revision: int | None, reach: str | None
) -> AsyncIterator[Event]:
    """Every event after `from_revision` (None: from now on) of these types that `reach` may see, for ever.

    An empty type means all. `reach` is a project id, or None for every project. Raises WATCH_TOO_OLD when
    events after `from_revision` are no longer kept, or when the watcher falls too far behind.
    """
    types = frozenset((resource_type,) if isinstance(resource_type, str) else resource_type) - {""}
    watcher = _Watcher(types, reach)
    tail: _Tail = database.companions.setdefault("tail", _Tail(database))
    await tail.join(watcher)
    try:
        sent = from_revision
        if sent is None:
            sent = await database.read(outbox.latest)
        else:
            await _check_kept(database, sent)
        async for event in _past(database, watcher, sent):
            sent = event.revision
            yield event
        while True:
            if watcher.lagging:
                raise _too_old(sent)
            event = await watcher.queue.get()
            if event.revision > sent:
                sent = event.revision
                yield event
    finally:
        tail.leave(watcher)


async def _past(database: "Database", watcher: _Watcher, sent: int) -> AsyncIterator[Event]:
    """What was committed before the watcher joined."""
    while True:
        page = await database.read(_after, sent, watcher.resource_types, _PAGE)
        for event in page:
            if watcher.wants(event):
                yield event
        if len(page) < _PAGE:
            return
        sent = page[-1].revision


async def _check_kept(database: "Database", from_revision: int) -> None:
    oldest = await database.read(outbox.oldest)
    if from_revision + 1 < oldest:
        raise _too_old(oldest)


def _too_old(oldest: int) -> CloudError:
    message = "The events from there on are no longer kept, or came faster than they were read: list again."
    return CloudError("WATCH_TOO_OLD", message, oldest=oldest)


def _after(
    connection: Connection, revision: int, resource_types: frozenset[str] | None, limit: int
) -> list[Event]:
    if resource_types:
        found = _SOME_NEWER.all(connection, after=revision, most=limit, types=sorted(resource_types))
    else:
        found = _ALL_NEWER.all(connection, after=revision, most=limit)
    return [_event(row) for row in found]


def _event(row: Row) -> Event:  # type: ignore[type-arg]
    return Event(row.revision, row.type, row.resource_type, row.resource_id, row.project_id, row.payload)
