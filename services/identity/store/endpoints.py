"""Endpoints: the catalogue."""

from typing import Any

from sqlalchemy import Connection, Row, delete, select

from mesh.caller import Caller
from mesh.database import compare_and_swap
from mesh.errors import not_found
from mesh.paging import page
from services.identity.store import rows
from services.identity.tables import endpoints


def get(connection: Connection, id: str, everything: bool) -> Row[Any]:
    """The endpoint. Raises NOT_FOUND, for a disabled one too unless `everything` is to be seen."""
    row = rows.get(connection, endpoints, id)
    if not row.enabled and not everything:
        raise not_found("endpoint", id)
    return row


def listed(
    connection: Connection, request: Any, caller: Caller, everything: bool
) -> tuple[list[Row[Any]], str]:
    """A page of endpoints; the disabled too when `everything` is to be seen."""
    query = select(endpoints)
    for name in ("service_type", "region", "interface"):
        if getattr(request, name):
            query = query.where(endpoints.c[name] == getattr(request, name))
    if not everything:
        query = query.where(endpoints.c.enabled)
    return page(connection, query, [endpoints.c.created_at, endpoints.c.id], request, caller)


def enabled(connection: Connection) -> list[Row[Any]]:
    """The whole catalogue, oldest first."""
    query = select(endpoints).where(endpoints.c.enabled)
    return list(connection.execute(query.order_by(endpoints.c.created_at, endpoints.c.id)))


def create(connection: Connection, values: dict[str, Any]) -> Row[Any]:
    """A new endpoint."""
    return connection.execute(endpoints.insert().values(values).returning(endpoints)).one()


def update(connection: Connection, id: str, expected_revision: int, values: dict[str, Any]) -> Row[Any]:
    """Change an endpoint."""
    return compare_and_swap(connection, endpoints, id, expected_revision, values)


def remove(connection: Connection, id: str, expected_revision: int) -> None:
    """Delete an endpoint."""
    compare_and_swap(connection, endpoints, id, expected_revision, {})
    connection.execute(delete(endpoints).where(endpoints.c.id == id))


def keep(connection: Connection, id: str, values: dict[str, Any]) -> None:
    """Make the endpoint, or have it as given while nobody has changed it; what was deleted comes back."""
    row = rows.find(connection, endpoints, id)
    if row is None:
        create(connection, {"id": id, **values})
    elif row.revision == 1 and row.url != values["url"]:
        connection.execute(endpoints.update().where(endpoints.c.id == id).values(url=values["url"]))
