"""Hosts that hold a stream of their state, and which of them are there."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta

from sqlalchemy import ColumnElement, Connection, and_, delete, exists, insert, select, true, union, update

from mesh import moment
from mesh.database import after_commit, database_of
from services.network.store import events
from services.network.store.rows import insert_unless_taken
from services.network.tables import hosts, listeners, ports, routers

# A host whose stream is gone for so long is taken to be away, and so is a process of this service that gave
# no sign of life for so long, with all its streams.
AWAY_AFTER = timedelta(seconds=30)
_FORGOTTEN_AFTER = timedelta(days=1)
# Somebody has confirmed something.
NUDGE = "confirmations"


@dataclass(frozen=True, slots=True)
class Standing:
    """How far a host is: all up to the revision `confirmed` is in its kernel, but what `trouble` says of
    routers and networks ("" is anything), by id. None: it does not tell, or is away or not known.
    """

    confirmed: int | None = None
    trouble: Mapping[str, str] = field(default_factory=dict)


def connect(
    connection: Connection,
    host_id: str,
    vtep_address: str,
    physical_networks: Sequence[str],
    listener_id: str,
    stream_id: str,
    confirms: bool = False,
) -> bool:
    """A host has opened a stream; the one it had before, if any, counts no more, nor what it confirmed.

    Whether it is connected to other networks than before.
    """
    values = {
        "vtep_address": vtep_address,
        "physical_networks": list(physical_networks),
        "listener_id": listener_id,
        "stream_id": stream_id,
        "gone_at": None,
        "confirming": stream_id if confirms else None,
        "confirmed": 0,
        "trouble": None,
    }
    before = connection.execute(select(hosts).where(hosts.c.id == host_id).with_for_update()).one_or_none()
    if before is None:
        connection.execute(insert(hosts).values(id=host_id, **values))
    else:
        connection.execute(update(hosts).where(hosts.c.id == host_id).values(**values))
    if before is None or before.vtep_address != vtep_address:
        _touch_neighbours(connection, host_id)
    return before is not None and (
        before.vtep_address != vtep_address or before.physical_networks != list(physical_networks)
    )


def disconnect(connection: Connection, host_id: str, stream_id: str) -> None:
    """That stream has ended; nothing when the host has another one already."""
    mine = and_(hosts.c.id == host_id, hosts.c.stream_id == stream_id)
    connection.execute(update(hosts).where(mine).values(gone_at=moment.now()))


def confirm(connection: Connection, host_id: str, revision: int, trouble: Mapping[str, str]) -> None:
    """A host has all up to the revision (0: nothing new) in its kernel, but what it has trouble with."""
    told = hosts.c.confirmed <= revision if revision else true()
    values = {"trouble": dict(trouble), **({"confirmed": revision} if revision else {})}
    nudges = database_of(connection).nudges
    if connection.execute(update(hosts).where(hosts.c.id == host_id, told).values(**values)).rowcount:
        after_commit(connection, lambda: nudges.notify(NUDGE))


def standing(connection: Connection, ids: Collection[str]) -> dict[str, Standing]:
    """How each of these hosts stands."""
    there = select(hosts.c.id, hosts.c.confirmed, hosts.c.trouble)
    there = there.where(hosts.c.id.in_(ids), hosts.c.confirming == hosts.c.stream_id, ~away())
    found = {row.id: Standing(row.confirmed, row.trouble or {}) for row in connection.execute(there)}
    return {id: found.get(id, Standing()) for id in ids}


def beat(connection: Connection, listener_id: str) -> None:
    """The process `listener_id` lives: one row for all the hosts that it serves."""
    seen = update(listeners).where(listeners.c.id == listener_id).values(seen_at=moment.now())
    if not connection.execute(seen).rowcount:
        insert_unless_taken(connection, listeners, {"id": listener_id, "seen_at": moment.read(connection)})
        old = listeners.c.seen_at < moment.now(-_FORGOTTEN_AFTER)
        connection.execute(delete(listeners).where(old))


def present() -> ColumnElement[bool]:
    """Hosts that hold a stream now."""
    return and_(hosts.c.gone_at.is_(None), _listened_to())


def away() -> ColumnElement[bool]:
    """Hosts without a stream for longer than AWAY_AFTER."""
    left = hosts.c.gone_at.is_not(None) & (hosts.c.gone_at < moment.now(-AWAY_AFTER))
    return left | ~_listened_to()


def _listened_to() -> ColumnElement[bool]:
    fresh = listeners.c.seen_at >= moment.now(-AWAY_AFTER)
    return exists().where(listeners.c.id == hosts.c.listener_id, fresh)


def _touch_neighbours(connection: Connection, host_id: str) -> None:
    """Other hosts send this one's packets elsewhere from now on."""
    of_ports = select(ports.c.network_id).where(ports.c.host_id == host_id)
    of_routers = select(routers.c.id).where(routers.c.host_id == host_id)
    for id in connection.scalars(union(of_ports, of_routers)).all():
        events.touch(connection, id)
