"""Devices that make one-time codes."""

from typing import Any

from sqlalchemy import Connection, Row, delete, insert, select, update

from mesh.errors import CloudError, not_found
from services.identity.store import revocations
from services.identity.tables import totp


def of(connection: Connection, user_id: str) -> Row[Any] | None:
    """The user's device, or None."""
    return connection.execute(select(totp).where(totp.c.user_id == user_id)).one_or_none()


def get(connection: Connection, user_id: str) -> Row[Any]:
    """The user's device. Raises NOT_FOUND."""
    row = of(connection, user_id)
    if row is None:
        raise not_found("totp", user_id)
    return row


def put(connection: Connection, user_id: str, sealed: str) -> Row[Any]:
    """A new device, in the place of one that was not confirmed. Raises ALREADY_EXISTS for one that was."""
    revocations.hold_user(connection, user_id)
    row = of(connection, user_id)
    if row is not None and row.confirmed:
        message = "There is a confirmed device already: delete that first."
        raise CloudError("ALREADY_EXISTS", message, resource_type="totp", name=user_id)
    connection.execute(delete(totp).where(totp.c.user_id == user_id))
    return connection.execute(insert(totp).values(user_id=user_id, secret=sealed).returning(totp)).one()


def take(connection: Connection, user_id: str, step: int, *, confirm: bool) -> bool:
    """Use the code of a step up, and all before it; False when that was done already."""
    fresh = (totp.c.user_id == user_id, totp.c.last_step < step)
    values = {"last_step": step, **({"confirmed": True} if confirm else {})}
    return connection.execute(update(totp).where(*fresh).values(values)).rowcount == 1


def remove(connection: Connection, user_id: str) -> None:
    """Forget the device. Raises NOT_FOUND."""
    get(connection, user_id)
    connection.execute(delete(totp).where(totp.c.user_id == user_id))
