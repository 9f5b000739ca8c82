"""Roles: names, global or of one domain."""

from typing import Any

from sqlalchemy import Connection, Row, delete, select

from mesh.caller import Caller
from mesh.database import compare_and_swap
from mesh.errors import CloudError, not_found
from services.identity.model import DEFAULT_ROLES
from services.identity.store import implications, rights, rows
from services.identity.tables import domains, roles


def get(connection: Connection, id: str, reach: str | None = None) -> Row[Any]:
    """The role. Raises NOT_FOUND, also for one of another domain than `reach`."""
    row = rows.get(connection, roles, id)
    if reach is not None and row.domain_id not in ("", reach):
        raise not_found("role", id)
    return row


def named(connection: Connection, name: str, domain_id: str = "") -> Row[Any]:
    """The role of that name, global or of the domain. Raises NOT_FOUND."""
    query = select(roles).where(roles.c.name == name, roles.c.domain_id.in_(["", domain_id]))
    row = connection.execute(query).first()
    if row is None:
        raise not_found("role", name)
    return row


def there(connection: Connection, name: str) -> bool:
    """Whether there is a global role of that name."""
    query = select(roles.c.id).where(roles.c.name == name, roles.c.domain_id == "")
    return connection.execute(query).first() is not None


def listed(
    connection: Connection, request: Any, caller: Caller, reach: str | None
) -> tuple[list[Row[Any]], str]:
    """A page of the global roles and of those of the domain `reach`."""
    within = [] if reach is None else [roles.c.domain_id.in_(["", reach])]
    return rows.listed(connection, roles, request, caller, "name", within=within)


def create(connection: Connection, values: dict[str, Any]) -> Row[Any]:
    """A new role. Raises NOT_FOUND for the domain, ALREADY_EXISTS.

    A token carries roles by name: a domain's role must not pass for a global one, nor the other way round.
    """
    rights.change(connection)
    domain_id = values.get("domain_id", "")
    if domain_id and rows.hold(connection, domains, domain_id) is None:
        raise not_found("domain", domain_id)
    _refuse_taken(connection, values["name"], domain_id)
    return rows.add(connection, roles, "role", values)


def _refuse_taken(connection: Connection, name: str, domain_id: str) -> None:
    """Raises ALREADY_EXISTS for a name that another role has."""
    same = select(roles.c.id).where(roles.c.name == name)
    if domain_id:
        same = same.where(roles.c.domain_id.in_(["", domain_id]))
    if connection.execute(same).first() is not None:
        raise rows.name_taken("role", name)


def update(connection: Connection, id: str, expected_revision: int, values: dict[str, Any]) -> Row[Any]:
    """Change a role; another name revokes the tokens that carry the one before.

    Raises ALREADY_EXISTS, REVISION_MISMATCH, IN_USE for the name of a default role.
    """
    rights.change(connection)
    before = rows.get(connection, roles, id)
    if values.get("name", before.name) == before.name:
        return compare_and_swap(connection, roles, id, expected_revision, values)
    _refuse_default(before, "keeps its name")
    _refuse_taken(connection, values["name"], before.domain_id)
    row = compare_and_swap(connection, roles, id, expected_revision, values)
    for user_id, given in implications.holdings(connection, id):
        rights.withdraw(connection, user_id, given)
    return row


def _refuse_default(role: Row[Any], why: str) -> None:
    if not role.domain_id and role.name in DEFAULT_ROLES:
        message = f"The role {role.name} is one of weft's own: it {why}."
        raise CloudError(
            "IN_USE", message, resource_type="role", id=role.id, used_by_type="policy", used_by_id=""
        )


def remove(connection: Connection, id: str, expected_revision: int) -> None:
    """Delete a role with its assignments, and revoke the tokens of those who had it."""
    rights.change(connection)
    row = compare_and_swap(connection, roles, id, expected_revision, {})
    _refuse_default(row, "cannot be deleted")
    affected = implications.holdings(connection, id)
    connection.execute(delete(roles).where(roles.c.id == id))
    for user_id, given in affected:
        rights.withdraw(connection, user_id, given)
