"""Hosts: what their agents said, and whether they live."""

from collections.abc import Collection
from datetime import timedelta
from typing import Any

from sqlalchemy import Connection, Row, bindparam, func, insert, select, update

from mesh import moment
from mesh.caller import Caller
from mesh.database import compare_and_swap
from mesh.errors import CloudError, not_found
from mesh.paging import page
from mesh.prepared import Prepared
from services.compute.pace import silence
from services.compute.tables import hosts

_FIND = Prepared(select(hosts).where(hosts.c.id == bindparam("id")))
_ALL = Prepared(select(hosts))
_SOME = Prepared(select(hosts).where(hosts.c.id.in_(bindparam("ids", expanding=True))))


def find(connection: Connection, id: str) -> Row[Any] | None:
    """The host, None when it is not known."""
    return _FIND.one(connection, id=id)


# What most heartbeats are: of a host that is UP, from its newest agent.
_HEARD = Prepared(
    update(hosts)
    .where(hosts.c.id == bindparam("host"), hosts.c.epoch == bindparam("of_epoch"), hosts.c.status == "UP")
    .values(
        last_seen_at=moment.now(), free_disk_bytes=bindparam("free"), confirmed_epoch=bindparam("of_epoch")
    )
)
_COUNT = Prepared(select(func.count()).select_from(hosts))


def count(connection: Connection) -> int:
    """How many hosts there are, whatever their status."""
    found: int = _COUNT.scalar(connection)
    return found


def get(connection: Connection, id: str) -> Row[Any]:
    """Raises NOT_FOUND."""
    row = find(connection, id)
    if row is None:
        raise not_found("host", id)
    return row


def all_(connection: Connection, ids: Collection[str] | None = None) -> dict[str, Row[Any]]:
    """Hosts by id: these, as far as they are known, or every one."""
    found = _ALL.all(connection) if ids is None else _SOME.all(connection, ids=ids)
    return {row.id: row for row in found}


def list_(connection: Connection, request: Any, status: str, caller: Caller) -> tuple[list[Row[Any]], str]:
    """A page of hosts, oldest first."""
    query = select(hosts)
    if status:
        query = query.where(hosts.c.status == status)
    if request.name:
        query = query.where(hosts.c.name == request.name)
    return page(connection, query, [hosts.c.created_at, hosts.c.id], request, caller)


def register(
    connection: Connection, id: str, values: dict[str, Any], last_epoch: int = 0, place: str = ""
) -> Row[Any]:
    """Keep what a host's agent says of it, UP, with the next epoch.

    Raises WRONG_STATUS for an agent that is not believed: see `_refuse`.
    """
    lives = hosts.c.last_seen_at > moment.now(-silence(count(connection)))
    known = select(hosts, lives.label("lives")).where(hosts.c.id == id).with_for_update()
    before = connection.execute(known).one_or_none()
    values = {**values, "status": "UP", "last_seen_at": moment.now(), "place": place}
    if before is None:
        row = insert(hosts).values(id=id, epoch=last_epoch + 1, **values).returning(hosts)
        return connection.execute(row).one()
    _refuse(before, last_epoch, place)
    return compare_and_swap(
        connection, hosts, id, None, {**values, "epoch": max(before.epoch, last_epoch) + 1}
    )


def readmit(connection: Connection, id: str) -> Row[Any]:
    """Believe the host's next agent, however old its disk is. Raises NOT_FOUND."""
    return compare_and_swap(connection, hosts, id, None, {"confirmed_epoch": 0})


def _refuse(known: Row[Any], last_epoch: int, place: str) -> None:
    """Raises WRONG_STATUS for a second agent while the first lives elsewhere, and for a disk that is older
    than the last one which this host had: one that was restored, or copied before another took over.
    """
    if known.status == "UP" and known.lives and place and known.place and place != known.place:
        why = "an agent elsewhere is this host, and lives"
    elif 0 < last_epoch < known.confirmed_epoch:
        why = f"its disk is of epoch {last_epoch}, and the host has been at {known.confirmed_epoch} since"
    else:
        return
    message = f"The agent is not taken for host {known.id}: {why}."
    raise CloudError(
        "WRONG_STATUS",
        message,
        resource_type="host",
        id=known.id,
        status=f"epoch {known.epoch}",
        allowed=known.confirmed_epoch,
    )


def change(connection: Connection, id: str, expected: int, values: dict[str, Any]) -> Row[Any]:
    """Raises NOT_FOUND, REVISION_MISMATCH."""
    return compare_and_swap(connection, hosts, id, expected, values)


def heard(connection: Connection, id: str, epoch: int, free_disk_bytes: int) -> None:
    """A heartbeat. Raises NOT_FOUND (register again), or WRONG_STATUS for an agent that was replaced."""
    if _HEARD.run(connection, host=id, of_epoch=epoch, free=free_disk_bytes):
        return
    row = get(connection, id)
    if epoch > row.epoch:
        raise not_found("host", id)
    if epoch < row.epoch:
        message = f"A newer agent of host {id} has registered (epoch {row.epoch}): this one is fenced off."
        raise CloudError(
            "WRONG_STATUS", message, resource_type="host", id=id, status=f"epoch {row.epoch}", allowed=epoch
        )
    values = {"last_seen_at": moment.now(), "free_disk_bytes": free_disk_bytes, "confirmed_epoch": epoch}
    compare_and_swap(connection, hosts, id, None, {**values, "status": "UP"})


def mark_down(connection: Connection, silent: timedelta) -> list[Row[Any]]:
    """Hosts that were UP and have not been heard of for so long are DOWN; those."""
    quiet = (hosts.c.status == "UP", hosts.c.last_seen_at < moment.now(-silent))
    rows = connection.execute(select(hosts).where(*quiet)).all()
    return [compare_and_swap(connection, hosts, row.id, None, {"status": "DOWN"}) for row in rows]
