"""Volumes given to servers. A change of an attachment and of its volume is one."""

from collections.abc import Collection
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, delete, insert, select

from mesh import paging
from mesh.caller import Caller
from mesh.database import compare_and_swap
from mesh.errors import CloudError, not_found, wrong_status
from services.block.model import Attachment, Volume
from services.block.store import rows, volumes
from services.block.tables import attachments


def get(connection: Connection, id: str, reach: str | None) -> Attachment:
    """One attachment that `reach` sees. Raises NOT_FOUND."""
    found = find(connection, id, reach)
    if found is None:
        raise not_found("attachment", id)
    return found


def find(connection: Connection, id: str, reach: str | None) -> Attachment | None:
    """The same; None when there is none."""
    query = select(attachments).where(attachments.c.id == id, rows.within(reach, attachments.c.project_id))
    row = connection.execute(query).one_or_none()
    return rows.value(Attachment, row) if row else None


def page(connection: Connection, request: Any, caller: Caller) -> tuple[list[Attachment], str]:
    """A page of the attachments that the caller sees, oldest first."""
    query = select(attachments).where(rows.within(caller.reach, attachments.c.project_id))
    if request.volume_id:
        query = query.where(attachments.c.volume_id == request.volume_id)
    if request.server_id:
        query = query.where(attachments.c.server_id == request.server_id)
    order = [attachments.c.created_at, attachments.c.id]
    found, token = paging.page(connection, query, order, request, caller)
    return [rows.value(Attachment, row) for row in found], token


def reserve(connection: Connection, wanted: Attachment, reach: str | None) -> tuple[Attachment, Volume]:
    """Nobody else can have the volume. Answers the same again for the same attachment.

    Raises NOT_FOUND, and WRONG_STATUS or IN_USE for a volume that is not free.
    """
    volume = volumes.get(connection, wanted.volume_id, reach, lock=True)
    known = find(connection, wanted.id, None)
    if known is not None:
        _require_same(known, wanted)
        return known, volume
    volumes.require(volume, ["AVAILABLE"])
    volumes.require_unread(connection, volume)
    row = {"id": wanted.id, "volume_id": volume.id, "project_id": volume.project_id}
    row |= {"server_id": wanted.server_id, "host_id": wanted.host_id, "status": "RESERVED"}
    connection.execute(insert(attachments).values(row))
    volumes.change(connection, volume.id, {"status": "ATTACHING", "status_reason": ""})
    return get(connection, wanted.id, None), volumes.get(connection, volume.id, None)


def move(
    connection: Connection, id: str, reach: str | None, before: list[str], after: str, **values: Any
) -> Attachment:
    """Give an attachment in one of the statuses `before`, or in `after` already, the status `after`.

    Its volume follows. Raises NOT_FOUND, WRONG_STATUS.
    """
    attachment = get(connection, id, reach)
    volume = volumes.get(connection, attachment.volume_id, None, lock=True)
    attachment = get(connection, id, reach)
    if attachment.status == after:
        return attachment
    if attachment.status not in before:
        raise wrong_status("attachment", id, attachment.status, before)
    volumes.require(volume, [_VOLUME_STATUS[status] for status in before])
    compare_and_swap(connection, attachments, id, None, {"status": after, **values})
    volumes.change(connection, volume.id, {"status": _VOLUME_STATUS[after]})
    return get(connection, id, None)


def remove(connection: Connection, id: str) -> None:
    """The attachment is gone, and its volume is free, or what is under way on it sees it free in the end."""
    attachment = find(connection, id, None)
    if attachment is None:
        return
    volume = volumes.get(connection, attachment.volume_id, None, lock=True)
    connection.execute(delete(attachments).where(attachments.c.id == id))
    volumes.change(connection, volume.id, {} if volume.operation_id else {"status": "AVAILABLE"})


def reserved_before(connection: Connection, moment: datetime) -> list[Attachment]:
    """Reservations that were made before then and never confirmed."""
    query = select(attachments).where(attachments.c.status == "RESERVED", attachments.c.created_at < moment)
    return [rows.value(Attachment, row) for row in connection.execute(query)]


def settled_before(connection: Connection, moment: datetime) -> list[Attachment]:
    """Attachments that guests have or had, unchanged since then."""
    query = select(attachments).where(attachments.c.status != "RESERVED", attachments.c.updated_at < moment)
    return [rows.value(Attachment, row) for row in connection.execute(query.order_by(attachments.c.id))]


def among(connection: Connection, ids: Collection[str]) -> set[str]:
    """Which of these are attachments."""
    return set(connection.scalars(select(attachments.c.id).where(attachments.c.id.in_(ids))))


_VOLUME_STATUS = {"RESERVED": "ATTACHING", "ATTACHED": "IN_USE", "DETACHING": "DETACHING"}


def _require_same(known: Attachment, wanted: Attachment) -> None:
    same = ("volume_id", "server_id", "host_id")
    if any(getattr(known, name) != getattr(wanted, name) for name in same):
        message = f"The attachment {known.id} is another's: for another volume, server or host."
        raise CloudError("ALREADY_EXISTS", message, resource_type="attachment", name=known.id)
