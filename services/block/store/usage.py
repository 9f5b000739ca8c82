"""How much is used: of a project's quota and of a pool's room, counted from the rows of its owners."""

from collections.abc import Mapping

from sqlalchemy import Connection, func, select

from mesh import limits as quota
from mesh import locks
from services.block.tables import snapshots, volumes


def check(
    connection: Connection, project_id: str, limits: Mapping[str, int], more: Mapping[str, int]
) -> None:
    """Raise QUOTA_EXCEEDED when the project may not have so much more; nobody else counts meanwhile."""
    locks.hold(connection, f"block quota {project_id}")
    used = of_project(connection, project_id)
    for resource, requested in more.items():
        quota.check(limits, resource, used[resource], requested)


def of_project(connection: Connection, project_id: str) -> dict[str, int]:
    """What a project has: volumes, snapshots, and the GiB of both."""
    count, gib = connection.execute(
        select(func.count(), func.coalesce(func.sum(volumes.c.allocated_gib), 0)).where(
            volumes.c.project_id == project_id
        )
    ).one()
    snapshot_count, snapshot_gib = connection.execute(
        select(func.count(), func.coalesce(func.sum(snapshots.c.size_gib), 0)).where(
            snapshots.c.project_id == project_id
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
