"""Records of snapshots."""

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, delete, insert, select

from mesh import paging
from mesh.caller import Caller
from mesh.database import compare_and_swap
from mesh.errors import not_found, wrong_status
from services.block.model import Snapshot
from services.block.store import rows, usage
from services.block.tables import snapshots, volumes


def get(connection: Connection, id: str, reach: str | None, *, lock: bool = False) -> Snapshot:
    """One snapshot that `reach` sees; with `lock`, kept from others' changes. Raises NOT_FOUND."""
    query = select(snapshots).where(snapshots.c.id == id, rows.within(reach, snapshots.c.project_id))
    row = connection.execute(query.with_for_update() if lock else query).one_or_none()
    if row is None:
        raise not_found("snapshot", id)
    return rows.value(Snapshot, row)


def of_volume(connection: Connection, volume_id: str) -> list[Snapshot]:
    """All snapshots of a volume, kept from others' changes."""
    query = select(snapshots).where(snapshots.c.volume_id == volume_id).order_by(snapshots.c.id)
    return [rows.value(Snapshot, row) for row in connection.execute(query.with_for_update())]


def page(connection: Connection, request: Any, caller: Caller) -> tuple[list[Snapshot], str]:
    """A page of the snapshots that the caller sees, oldest first."""
    query = select(snapshots).where(rows.within(caller.reach, snapshots.c.project_id))
    if request.volume_id:
        query = query.where(snapshots.c.volume_id == request.volume_id)
    if request.name:
        query = query.where(snapshots.c.name == request.name)
    order = [snapshots.c.created_at, snapshots.c.id]
    found, token = paging.page(connection, query, order, request, caller)
    return [rows.value(Snapshot, row) for row in found], token


def create(connection: Connection, values: Mapping[str, Any], limits: Mapping[str, int]) -> Snapshot:
    """A CREATING snapshot. Raises QUOTA_EXCEEDED."""
    more = {"snapshots": 1, "volume_gib": values["size_gib"]}
    usage.check(connection, values["project_id"], limits, more)
    connection.execute(insert(snapshots).values(**values, status="CREATING"))
    return get(connection, values["id"], None)


def change(connection: Connection, id: str, values: Mapping[str, Any], revision: int = 0) -> Snapshot:
    """Change a snapshot. Raises NOT_FOUND, REVISION_MISMATCH."""
    return rows.value(Snapshot, compare_and_swap(connection, snapshots, id, revision, dict(values)))


def require(snapshot: Snapshot, allowed: Sequence[str]) -> None:
    """Raise WRONG_STATUS unless the snapshot's status is one of these."""
    if snapshot.status not in allowed:
        raise wrong_status("snapshot", snapshot.id, snapshot.status, allowed)


def require_unread(connection: Connection, snapshot: Snapshot) -> None:
    """Raise IN_USE while a volume is being made from this snapshot."""
    query = select(volumes.c.id).where(volumes.c.snapshot_id == snapshot.id, volumes.c.status == "CREATING")
    reader = connection.scalar(query.limit(1))
    if reader:
        raise rows.in_use("snapshot", snapshot.id, "volume", reader)


def remove(connection: Connection, id: str) -> None:
    """The snapshot is gone."""
    connection.execute(delete(snapshots).where(snapshots.c.id == id))
