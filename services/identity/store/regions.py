"""Regions, which may be in one another."""

from typing import Any

from sqlalchemy import Connection, Row, delete, select

from mesh.caller import Caller
from mesh.database import compare_and_swap
from mesh.errors import invalid, not_found
from services.identity.store import domains, rows
from services.identity.tables import endpoints, regions


def get(connection: Connection, id: str) -> Row[Any]:
    """The region. Raises NOT_FOUND."""
    return rows.get(connection, regions, id)


def listed(connection: Connection, request: Any, caller: Caller) -> tuple[list[Row[Any]], str]:
    """A page of regions, and the token of the next."""
    return rows.listed(connection, regions, request, caller, "name", "parent_id")


def create(connection: Connection, values: dict[str, Any]) -> Row[Any]:
    """A new region. Raises ALREADY_EXISTS, and NOT_FOUND for the one above."""
    if values.get("parent_id"):
        _hold(connection, values["parent_id"])
    return rows.add(connection, regions, "region", values)


def there(connection: Connection, name: str) -> None:
    """Make the region of that name unless it is there, and keep it until the unit ends."""
    rows.there(connection, regions, {"name": name})


def update(connection: Connection, id: str, expected_revision: int, values: dict[str, Any]) -> Row[Any]:
    """Change a region. Raises INVALID_ARGUMENT when it would be in itself."""
    above = values.get("parent_id")
    while above:
        if above == id:
            raise invalid("region.parent_id", "is the region itself, or below it")
        above = _hold(connection, above).parent_id
    return compare_and_swap(connection, regions, id, expected_revision, values)


def _hold(connection: Connection, id: str) -> Row[Any]:
    row = rows.hold(connection, regions, id)
    if row is None:
        raise not_found("region", id)
    return row


def remove(connection: Connection, id: str, expected_revision: int) -> None:
    """Delete a region. Raises IN_USE while a region or an endpoint is in it."""
    rows.hold(connection, regions, id, alone=True)
    row = compare_and_swap(connection, regions, id, expected_revision, {})
    below = select(regions.c.id).where(regions.c.parent_id == id)
    inside = select(endpoints.c.id).where(endpoints.c.region == row.name)
    for kind, query in (("region", below), ("endpoint", inside)):
        used = connection.scalar(query.limit(1))
        if used:
            raise domains.in_use("region", id, kind, used)
    connection.execute(delete(regions).where(regions.c.id == id))
