"""Server groups, and which hosts their servers have a place on.

A place is taken in the unit of work that looks at the others', with the group locked: of two servers that are
placed at once one sees the other.
"""

from collections.abc import Collection, Mapping
from typing import Any

from sqlalchemy import Connection, Row, delete, func, insert, select

from mesh.caller import Caller
from mesh.database import compare_and_swap
from mesh.errors import not_found
from mesh.paging import page
from services.compute.groups import Company
from services.compute.store import servers
from services.compute.tables import server_groups, server_places
from services.compute.tables import servers as servers_table


def get(connection: Connection, id: str, reach: str | None, *, lock: bool = False) -> Row[Any]:
    """The group; with `lock` nobody else places its servers before this unit ends. Raises NOT_FOUND."""
    row = _find(connection, id, lock=lock)
    if row is None or reach not in (None, row.project_id):
        raise not_found("server_group", id)
    return row


def list_(connection: Connection, request: Any, caller: Caller) -> tuple[list[Row[Any]], str]:
    """A page of groups, oldest first."""
    query = select(server_groups)
    if caller.reach is not None:
        query = query.where(server_groups.c.project_id == caller.reach)
    if request.name:
        query = query.where(server_groups.c.name == request.name)
    return page(connection, query, [server_groups.c.created_at, server_groups.c.id], request, caller)


def members(connection: Connection, ids: Collection[str]) -> dict[str, list[str]]:
    """Ids of the servers of these groups, oldest first."""
    found: dict[str, list[str]] = {id: [] for id in ids}
    table = servers_table.c
    query = select(table.id, table.server_group_id).where(table.server_group_id.in_(ids))
    for row in connection.execute(query.order_by(table.created_at, table.id)):
        found[row.server_group_id].append(row.id)
    return found


def create(connection: Connection, values: Mapping[str, Any]) -> Row[Any]:
    """A group without servers."""
    return connection.execute(insert(server_groups).values(**values).returning(server_groups)).one()


def remove(connection: Connection, id: str, reach: str | None, expected: int) -> None:
    """Its servers are in no group any more. Raises NOT_FOUND, REVISION_MISMATCH."""
    get(connection, id, reach, lock=True)
    compare_and_swap(connection, server_groups, id, expected, {})
    for server_id in members(connection, [id])[id]:
        servers.change(connection, server_id, {"server_group_id": None})
    connection.execute(delete(server_places).where(server_places.c.server_group_id == id))
    connection.execute(delete(server_groups).where(server_groups.c.id == id))


def company(connection: Connection, id: str, server_id: str) -> Company:
    """What the group asks of that server's host; nothing when the group is gone."""
    row = _find(connection, id) if id else None
    return _company(connection, row, server_id) if row else Company()


def take_place(connection: Connection, id: str, server_id: str, host_id: str) -> bool:
    """Whether the server has a place on the host now: not where the group does not allow it."""
    row = _find(connection, id, lock=True)
    if row is None:
        return True
    if not _company(connection, row, server_id).allows(host_id):
        return False
    place = (server_places.c.server_id == server_id, server_places.c.host_id == host_id)
    connection.execute(delete(server_places).where(*place))
    values = {"server_id": server_id, "host_id": host_id, "server_group_id": id}
    connection.execute(insert(server_places).values(**values))
    return True


def stay(connection: Connection, server_id: str, host_id: str) -> None:
    """The server has a place on no host but that one, if it has one there."""
    place = (server_places.c.server_id == server_id, server_places.c.host_id != host_id)
    connection.execute(delete(server_places).where(*place))


def _find(connection: Connection, id: str, *, lock: bool = False) -> Row[Any] | None:
    query = select(server_groups).where(server_groups.c.id == id)
    return connection.execute(query.with_for_update() if lock else query).one_or_none()


def _company(connection: Connection, row: Row[Any], server_id: str) -> Company:
    others = (server_places.c.server_group_id == row.id, server_places.c.server_id != server_id)
    counted = (
        select(server_places.c.host_id, func.count().label("servers"))
        .where(*others)
        .group_by(server_places.c.host_id)
    )
    found = {place.host_id: place.servers for place in connection.execute(counted)}
    return Company(row.policy, row.max_servers_per_host, found)
