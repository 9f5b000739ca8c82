"""Offers of volumes to other projects."""

from collections.abc import Mapping
from typing import Any

from sqlalchemy import Connection, delete, insert, select

from mesh import paging
from mesh.caller import Caller
from mesh.database import compare_and_swap
from mesh.errors import not_found
from services.block.model import Transfer
from services.block.store import rows
from services.block.tables import transfers


def get(connection: Connection, id: str, reach: str | None, *, lock: bool = False) -> Transfer:
    """One transfer that `reach` offers; with `lock`, kept from others' changes. Raises NOT_FOUND."""
    query = select(transfers).where(transfers.c.id == id, rows.within(reach, transfers.c.project_id))
    row = connection.execute(query.with_for_update() if lock else query).one_or_none()
    if row is None:
        raise not_found("volume_transfer", id)
    return rows.value(Transfer, row)


def page(connection: Connection, request: Any, caller: Caller) -> tuple[list[Transfer], str]:
    """A page of the transfers that the caller's project offers, oldest first."""
    query = select(transfers).where(rows.within(caller.reach, transfers.c.project_id))
    if request.volume_id:
        query = query.where(transfers.c.volume_id == request.volume_id)
    order = [transfers.c.created_at, transfers.c.id]
    found, token = paging.page(connection, query, order, request, caller)
    return [rows.value(Transfer, row) for row in found], token


def create(connection: Connection, values: Mapping[str, Any]) -> Transfer:
    """A new one, of a volume that has none."""
    made = insert(transfers).values(**values).returning(transfers)
    return rows.value(Transfer, connection.execute(made).one())


def remove(connection: Connection, id: str, revision: int = 0) -> None:
    """It is over. Raises NOT_FOUND, REVISION_MISMATCH."""
    compare_and_swap(connection, transfers, id, revision, {})
    connection.execute(delete(transfers).where(transfers.c.id == id))
