"""Pools, as hosts report them."""

from collections.abc import Mapping
from typing import Any

from sqlalchemy import Connection, Row, bindparam, insert, select, update

from mesh import locks, moment, paging
from mesh.caller import Caller
from mesh.database import compare_and_swap
from mesh.errors import not_found
from mesh.prepared import Prepared
from services.block import scheduling
from services.block.model import GIB, Pool
from services.block.scheduling import Wish
from services.block.store import rows, usage
from services.block.tables import pools

_ROOM = "block pools"
_THIS = pools.c.id == bindparam("id")
_FIND, _OWNER = Prepared(select(pools).where(_THIS)), Prepared(select(pools.c.host_id).where(_THIS))
_ALL = Prepared(select(pools).order_by(pools.c.id))


def get(connection: Connection, id: str) -> Pool:
    """One pool. Raises NOT_FOUND."""
    row = _FIND.one(connection, id=id)
    if row is None:
        raise not_found("pool", id)
    return _counted(connection, [row])[0]


def page(connection: Connection, request: Any, caller: Caller) -> tuple[list[Pool], str]:
    """A page of pools, oldest first."""
    query = select(pools)
    if request.host_id:
        query = query.where(pools.c.host_id == request.host_id)
    found, token = paging.page(connection, query, [pools.c.created_at, pools.c.id], request, caller)
    return _counted(connection, found), token


def all_(connection: Connection) -> list[Pool]:
    """Every pool."""
    return _counted(connection, _ALL.all(connection))


def register(connection: Connection, id: str, values: Mapping[str, Any]) -> Pool:
    """A host says that it has the pool: it is there, as described, and alive."""
    locks.hold(connection, f"block pool {id}")
    known = _FIND.one(connection, id=id)
    if known is None:
        connection.execute(insert(pools).values(id=id, last_seen_at=moment.now(), **values))
    elif any(known._mapping[name] != value for name, value in values.items()):
        compare_and_swap(connection, pools, id, None, {**values, "last_seen_at": moment.now()})
    else:
        connection.execute(update(pools).where(pools.c.id == id).values(last_seen_at=moment.now()))
    return get(connection, id)


def owner(connection: Connection, id: str) -> str | None:
    """The host that has registered a pool; None when there is no such pool."""
    return _OWNER.scalar(connection, id=id)


def change(connection: Connection, id: str, revision: int, values: Mapping[str, Any]) -> Pool:
    """Change a pool. Raises NOT_FOUND, REVISION_MISMATCH."""
    compare_and_swap(connection, pools, id, revision, dict(values))
    return get(connection, id)


def choose(connection: Connection, wish: Wish) -> Pool:
    """The pool for a new volume; nobody else takes room until the unit ends."""
    locks.hold(connection, _ROOM)
    return scheduling.choose(all_(connection), wish, moment.read(connection))


def require_room(connection: Connection, id: str, size_bytes: int) -> None:
    """Raise STORAGE_FULL unless the pool has so much left; nobody else takes room until the unit ends."""
    locks.hold(connection, _ROOM)
    pool = get(connection, id)
    if pool.free_bytes < size_bytes:
        raise scheduling.full(pool.free_bytes, size_bytes)


def _counted(connection: Connection, found: Any) -> list[Pool]:
    used: dict[str, int] = usage.gib_of_pools(connection) if found else {}
    return [_pool(row, used) for row in found]


def _pool(row: Row[Any], used: Mapping[str, int]) -> Pool:
    return rows.value(Pool, row, allocated_bytes=used.get(row.id, 0) * GIB)
