"""Documents that say who may do what."""

from typing import Any

from sqlalchemy import Connection, Row, delete, insert

from mesh import locks
from mesh.caller import Caller
from mesh.database import compare_and_swap
from services.identity.store import rows
from services.identity.tables import policies

# Far beyond what anybody needs, and nobody fills the database.
MOST = 1000


def get(connection: Connection, id: str) -> Row[Any]:
    """The policy. Raises NOT_FOUND."""
    return rows.get(connection, policies, id)


def listed(connection: Connection, request: Any, caller: Caller) -> tuple[list[Row[Any]], str]:
    """A page of policies, and the token of the next."""
    return rows.listed(connection, policies, request, caller, "type")


def create(connection: Connection, values: dict[str, Any]) -> Row[Any]:
    """A new policy. Raises QUOTA_EXCEEDED."""
    locks.hold(connection, "identity policies")
    rows.require_room(connection, policies, MOST, "policy")
    return connection.execute(insert(policies).values(values).returning(policies)).one()


def update(connection: Connection, id: str, expected_revision: int, values: dict[str, Any]) -> Row[Any]:
    """Change a policy."""
    return compare_and_swap(connection, policies, id, expected_revision, values)


def remove(connection: Connection, id: str, expected_revision: int) -> None:
    """Delete a policy."""
    compare_and_swap(connection, policies, id, expected_revision, {})
    connection.execute(delete(policies).where(policies.c.id == id))
