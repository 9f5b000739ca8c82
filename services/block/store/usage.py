"""How much is used: of a project's quota and of a pool's room, counted from the rows of its owners."""

from collections.abc import Mapping, Sequence

from sqlalchemy import Column, Connection, Table, bindparam, func, select

from mesh import limits as quota
from mesh.prepared import Prepared
from services.block.tables import snapshots, volumes


def _of_projects(table: Table, size: Column[int]) -> Prepared:
    mine = table.c.project_id.in_(bindparam("project_ids", expanding=True))
    return Prepared(select(func.count(), func.coalesce(func.sum(size), 0)).where(mine))


_SIZES = ((volumes, volumes.c.allocated_gib), (snapshots, snapshots.c.size_gib))
_VOLUMES, _SNAPSHOTS = (_of_projects(*each) for each in _SIZES)
_BY_POOL = [
    Prepared(select(table.c.pool_id, func.sum(size)).group_by(table.c.pool_id)) for table, size in _SIZES
]


def check(
    connection: Connection, project_id: str, limits: Mapping[str, int], more: Mapping[str, int]
) -> None:
    """Raise QUOTA_EXCEEDED when the project may not have so much more; nobody else counts meanwhile."""
    quota.claim(connection, "block", project_id, limits, more, lambda these: of(connection, these))


def of(connection: Connection, project_ids: Sequence[str]) -> dict[str, int]:
    """What these projects have: volumes, snapshots, and the GiB of both."""
    ((count, gib),) = _VOLUMES.all(connection, project_ids=project_ids)
    ((snapshot_count, snapshot_gib),) = _SNAPSHOTS.all(connection, project_ids=project_ids)
    return {"volumes": count, "snapshots": snapshot_count, "volume_gib": int(gib) + int(snapshot_gib)}


def gib_of_pools(connection: Connection) -> dict[str, int]:
    """GiB that the volumes and snapshots of each pool may take, by its id."""
    total: dict[str, int] = {}
    for by_pool in _BY_POOL:
        for pool_id, gib in by_pool.all(connection):
            total[pool_id] = total.get(pool_id, 0) + int(gib)
    return total
