"""Records of volumes."""

from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any

from sqlalchemy import Connection, Row, bindparam, delete, insert, select

from mesh import outbox, paging
from mesh.caller import Caller
from mesh.database import compare_and_swap
from mesh.errors import not_found, wrong_status
from mesh.prepared import Prepared
from services.block import messages
from services.block.model import Attachment, Pool, Volume
from services.block.scheduling import Wish
from services.block.store import pools, rows, usage
from services.block.tables import attachments, snapshots, volumes

_THIS = volumes.c.id == bindparam("id")
_FIND, _LOCK = (
    Prepared(select(volumes).where(_THIS)),
    Prepared(select(volumes).where(_THIS).with_for_update()),
)
_DELETE = Prepared(delete(volumes).where(_THIS))
_ATTACHMENTS = Prepared(
    select(attachments).where(attachments.c.volume_id.in_(bindparam("ids", expanding=True)))
)


@cache
def _insert(names: tuple[str, ...]) -> Prepared:
    return Prepared(insert(volumes), *names)


def get(connection: Connection, id: str, reach: str | None, *, lock: bool = False) -> Volume:
    """One volume that `reach` sees; with `lock`, kept from others' changes. Raises NOT_FOUND."""
    row = (_LOCK if lock else _FIND).one(connection, id=id)
    if row is None or reach not in (None, row.project_id):
        raise not_found("volume", id)
    return _with_attachments(connection, [row])[0]


def page(
    connection: Connection, request: Any, caller: Caller, statuses: list[str]
) -> tuple[list[Volume], str]:
    """A page of the volumes that the caller sees, oldest first."""
    query = select(volumes).where(rows.within(caller.reach, volumes.c.project_id))
    if request.name:
        query = query.where(volumes.c.name == request.name)
    if statuses:
        query = query.where(volumes.c.status.in_(statuses))
    if request.server_id:
        of_server = select(attachments.c.volume_id).where(attachments.c.server_id == request.server_id)
        query = query.where(volumes.c.id.in_(of_server))
    if request.bootable:
        query = query.where(volumes.c.bootable)
    if request.project_id:
        query = query.where(volumes.c.project_id == request.project_id)
    found, token = paging.page(connection, query, [volumes.c.created_at, volumes.c.id], request, caller)
    return _with_attachments(connection, found), token


def create(
    connection: Connection, values: Mapping[str, Any], limits: Mapping[str, int], wish: Wish
) -> tuple[Volume, Pool]:
    """A CREATING volume and the pool chosen for it. Raises QUOTA_EXCEEDED, STORAGE_FULL, UNAVAILABLE."""
    more = {"volumes": 1, "volume_gib": values["size_gib"]}
    usage.check(connection, values["project_id"], limits, more)
    pool = pools.choose(connection, wish)
    row = {**values, "allocated_gib": values["size_gib"], "pool_id": pool.id, "status": "CREATING"}
    _insert(tuple(row)).run(connection, **row)
    volume = get(connection, values["id"], None)
    _tell(connection, "CREATED", volume)
    return volume, pool


def change(connection: Connection, id: str, values: Mapping[str, Any], revision: int = 0) -> Volume:
    """Change a volume. Raises NOT_FOUND, REVISION_MISMATCH."""
    compare_and_swap(connection, volumes, id, revision, dict(values))
    return touched(connection, id)


def hand_over(connection: Connection, id: str, project_id: str, user_id: str) -> Volume:
    """The volume in another project, AVAILABLE: it is gone for who watches the one, and new to the other."""
    _tell(connection, "DELETED", get(connection, id, None))
    values = {"project_id": project_id, "user_id": user_id, "status": "AVAILABLE"}
    compare_and_swap(connection, volumes, id, 0, values)
    volume = get(connection, id, None)
    _tell(connection, "CREATED", volume)
    return volume


def touched(connection: Connection, id: str) -> Volume:
    """The volume after a change of it or of its attachment, told to who watches."""
    volume = get(connection, id, None)
    _tell(connection, "UPDATED", volume)
    return volume


def require(volume: Volume, allowed: Sequence[str]) -> None:
    """Raise WRONG_STATUS unless the volume's status is one of these."""
    if volume.status not in allowed:
        raise wrong_status("volume", volume.id, volume.status, allowed)


def require_unread(connection: Connection, volume: Volume) -> None:
    """Raise IN_USE while another volume is being copied from this one."""
    query = select(volumes.c.id).where(
        volumes.c.source_volume_id == volume.id, volumes.c.status == "CREATING"
    )
    _require_none(connection.scalar(query.limit(1)), "volume", volume)


def require_no_snapshots(connection: Connection, volume: Volume) -> None:
    """Raise IN_USE while the volume has snapshots."""
    query = select(snapshots.c.id).where(snapshots.c.volume_id == volume.id)
    _require_none(connection.scalar(query.limit(1)), "snapshot", volume)


def remove(connection: Connection, id: str) -> None:
    """The volume is gone."""
    volume = get(connection, id, None, lock=True)
    _tell(connection, "DELETED", volume)
    _DELETE.run(connection, id=id)


def _require_none(user: str | None, kind: str, volume: Volume) -> None:
    if user:
        raise rows.in_use("volume", volume.id, kind, user)


def _with_attachments(connection: Connection, found: Sequence[Row[Any]]) -> list[Volume]:
    held: dict[str, list[Attachment]] = {row.id: [] for row in found}
    for row in _ATTACHMENTS.all(connection, ids=list(held)):
        held[row.volume_id].append(rows.value(Attachment, row))
    return [rows.value(Volume, row, attachments=tuple(held[row.id])) for row in found]


def _tell(connection: Connection, type: Any, volume: Volume) -> None:
    outbox.append(connection, type, "volume", volume.id, volume.project_id, messages.volume(volume))
