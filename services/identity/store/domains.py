"""Domains."""

from typing import Any

from sqlalchemy import Connection, Row, delete, select

from mesh.caller import Caller
from mesh.database import compare_and_swap
from mesh.errors import CloudError, not_found, wrong_status
from mesh.paging import page
from services.identity.store import assignments as given
from services.identity.store import revocations, rows
from services.identity.tables import (
    assignments,
    domains,
    groups,
    identity_providers,
    projects,
    roles,
    users,
)


def get(connection: Connection, id: str, reach: str | None = None) -> Row[Any]:
    """The domain. Raises NOT_FOUND, also when `reach` is another."""
    if reach is not None and reach != id:
        raise not_found("domain", id)
    return rows.get(connection, domains, id)


def named(connection: Connection, name: str) -> Row[Any] | None:
    """The domain of that name, or None."""
    return connection.execute(select(domains).where(domains.c.name == name)).one_or_none()


def any_there(connection: Connection) -> bool:
    """Whether there is any domain at all."""
    return connection.execute(select(domains.c.id).limit(1)).first() is not None


def listed(connection: Connection, request: Any, caller: Caller) -> tuple[list[Row[Any]], str]:
    """A page of domains, and the token of the next."""
    return rows.listed(connection, domains, request, caller, "name")


def of_user(connection: Connection, request: Any, caller: Caller) -> tuple[list[Row[Any]], str]:
    """A page of the domains that the caller has a role on, directly or by a group; none that is disabled."""
    on = select(assignments.c.domain_id).where(
        given.has(caller.user_id), assignments.c.domain_id.is_not(None)
    )
    query = select(domains).where(domains.c.enabled, domains.c.id.in_(on))
    return page(connection, query, [domains.c.created_at, domains.c.id], request, caller)


def create(connection: Connection, values: dict[str, Any]) -> Row[Any]:
    """A new domain. Raises ALREADY_EXISTS."""
    return rows.add(connection, domains, "domain", values)


def update(connection: Connection, id: str, expected_revision: int, values: dict[str, Any]) -> Row[Any]:
    """Change a domain; disabling it revokes the tokens of its users and for its projects."""
    before = rows.hold(connection, domains, id, alone=True)
    other = named(connection, values.get("name", ""))
    if other is not None and other.id != id:
        raise rows.name_taken("domain", values["name"])
    row = compare_and_swap(connection, domains, id, expected_revision, values)
    if before is not None and before.enabled and not row.enabled:
        revocations.add(connection, domain_id=id)
    return row


def remove(connection: Connection, id: str, expected_revision: int) -> None:
    """Delete a disabled, empty domain with its roles and what is assigned on it."""
    row = rows.hold(connection, domains, id, alone=True)
    if row is None:
        raise not_found("domain", id)
    compare_and_swap(connection, domains, id, expected_revision, {})
    if row.enabled:
        raise wrong_status("domain", id, "enabled", ["disabled"])
    inside = (projects, users, groups, identity_providers)
    for kind, table in zip(("project", "user", "group", "identity provider"), inside, strict=True):
        used = connection.scalar(select(table.c.id).where(table.c.domain_id == id).limit(1))
        if used:
            raise in_use("domain", id, kind, used)
    connection.execute(delete(roles).where(roles.c.domain_id == id))
    connection.execute(delete(assignments).where(assignments.c.domain_id == id))
    connection.execute(delete(domains).where(domains.c.id == id))


def in_use(kind: str, id: str, by_kind: str, by_id: str) -> CloudError:
    """IN_USE."""
    message = f"The {kind} {id} has the {by_kind} {by_id}: delete that first."
    return CloudError("IN_USE", message, resource_type=kind, id=id, used_by_type=by_kind, used_by_id=by_id)
