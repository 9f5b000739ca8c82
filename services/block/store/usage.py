"""How much is used: of a project's quota and of a pool's room, counted from the rows of its owners."""

from collections.abc import Mapping, Sequence

from sqlalchemy import Connection, func, select

from mesh import limits as quota
from services.block.tables import snapshots, volumes


def check(
    connection: Connection, project_id: str, limits: Mapping[str, int], more: Mapping[str, int]
) -> None:
    """Raise QUOTA_EXCEEDED when the project may not have so much more; nobody else counts meanwhile."""
    quota.claim(connection, "block", project_id, limits, more, lambda these: of(connection, these))


def of(connection: Connection, project_ids: Sequence[str]) -> dict[str, int]:
    """What these projects have: volumes, snapshots, and the GiB of both."""
    count, gib = connection.execute(
        select(func.count(), func.coalesce(func.sum(volumes.c.allocated_gib), 0)).where(
            volumes.c.project_id.in_(project_ids)
        )
    ).one()
    snapshot_count, snapshot_gib = connection.execute(
        select(func.count(), func.coalesce(func.sum(snapshots.c.size_gib), 0)).where(
            snapshots.c.project_id.in_(project_ids)
        )
    ).one()
    return {"volumes": count, "snapshots": snapshot_count, "volume_gib": int(gib) + int(snapshot_gib)}


def gib_of_pools(connection: Connection) -> dict[str, int]:
    """GiB that the volumes and snapshots of each pool may take, by its id."""
    total: dict[str, int] = {}
    for table, size in ((volumes, volumes.c.allocated_gib), (snapshots, snapshots.c.size_gib)):
        for pool_id, gib in connection.execute(
            select(table.c.pool_id, func.sum(size)).group_by(table.c.pool_id)
        ):
            total[pool_id] = total.get(pool_id, 0) + int(gib)
    return total
