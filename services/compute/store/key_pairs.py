"""Key pairs: each user has their own, in whichever project."""

from typing import Any

from sqlalchemy import Connection, Row, delete, insert, select
from sqlalchemy.exc import IntegrityError

from mesh.caller import Caller
from mesh.database import compare_and_swap
from mesh.errors import CloudError, not_found
from mesh.paging import page
from services.compute.tables import key_pairs


def get(connection: Connection, user_id: str, name: str) -> Row[Any]:
    """Raises NOT_FOUND, for another user's too."""
    mine = (key_pairs.c.user_id == user_id, key_pairs.c.name == name)
    row = connection.execute(select(key_pairs).where(*mine)).one_or_none()
    if row is None:
        raise not_found("key_pair", name)
    return row


def list_(connection: Connection, request: Any, caller: Caller) -> tuple[list[Row[Any]], str]:
    """A page of the caller's key pairs, oldest first."""
    query = select(key_pairs).where(key_pairs.c.user_id == caller.user_id)
    return page(connection, query, [key_pairs.c.created_at, key_pairs.c.id], request, caller)


def create(connection: Connection, values: dict[str, Any]) -> Row[Any]:
    """Raises ALREADY_EXISTS when the user has one of the name."""
    try:
        with connection.begin_nested():
            return connection.execute(insert(key_pairs).values(**values).returning(key_pairs)).one()
    except IntegrityError as error:
        message = f"You have a key pair {values['name']!r} already: choose another name."
        raise CloudError("ALREADY_EXISTS", message, resource_type="key_pair", name=values["name"]) from error


def remove(connection: Connection, user_id: str, name: str, expected: int) -> None:
    """Raises NOT_FOUND, REVISION_MISMATCH."""
    row = get(connection, user_id, name)
    compare_and_swap(connection, key_pairs, row.id, expected, {})
    connection.execute(delete(key_pairs).where(key_pairs.c.id == row.id))
