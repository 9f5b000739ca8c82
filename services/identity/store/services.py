"""Services: what the catalogue's endpoints are of."""

from typing import Any

from sqlalchemy import Connection, Row, delete, select

from mesh.caller import Caller
from mesh.database import compare_and_swap
from mesh.errors import not_found
from services.identity.store import rows
from services.identity.tables import services


def get(connection: Connection, id: str) -> Row[Any]:
    """The service. Raises NOT_FOUND."""
    return rows.get(connection, services, id)


def listed(connection: Connection, request: Any, caller: Caller) -> tuple[list[Row[Any]], str]:
    """A page of services, and the token of the next."""
    return rows.listed(connection, services, request, caller, "name", "type")


def create(connection: Connection, values: dict[str, Any]) -> Row[Any]:
    """A new service. Raises ALREADY_EXISTS."""
    return rows.add(connection, services, "service", values)


def there(connection: Connection, type: str, name: str) -> str:
    """The id of the service of that type and name, which is made unless it is there."""
    return rows.there(connection, services, {"type": type, "name": name})


def hold(connection: Connection, id: str) -> str:
    """The service's id, which stays until the unit ends. Raises NOT_FOUND."""
    if rows.hold(connection, services, id) is None:
        raise not_found("service", id)
    return id


def update(connection: Connection, id: str, expected_revision: int, values: dict[str, Any]) -> Row[Any]:
    """Change a service. Raises ALREADY_EXISTS when another has that type and name."""
    before = rows.hold(connection, services, id, alone=True)
    if before is not None:
        after = {"type": before.type, "name": before.name, **values}
        same = select(services.c.id).where(
            services.c.type == after["type"], services.c.name == after["name"], services.c.id != id
        )
        if connection.scalar(same):
            raise rows.name_taken("service", after["name"])
    return compare_and_swap(connection, services, id, expected_revision, values)


def remove(connection: Connection, id: str, expected_revision: int) -> None:
    """Delete a service with its endpoints."""
    compare_and_swap(connection, services, id, expected_revision, {})
    connection.execute(delete(services).where(services.c.id == id))
