"""Groups, and who is in them."""

from typing import Any

from sqlalchemy import Connection, Row, delete, select

from mesh.caller import Caller
from mesh.database import compare_and_swap
from mesh.errors import CloudError, not_found
from mesh.paging import page
from services.identity.store import memberships, rights, rows
from services.identity.tables import assignments, domains, groups, users
from services.identity.tables import memberships as table

_ORDER = [groups.c.created_at, groups.c.id]


def get(connection: Connection, id: str, reach: str | None = None) -> Row[Any]:
    """The group. Raises NOT_FOUND, also when of another domain than `reach`."""
    row = rows.get(connection, groups, id)
    if reach is not None and row.domain_id != reach:
        raise not_found("group", id)
    return row


def listed(
    connection: Connection, request: Any, caller: Caller, reach: str | None
) -> tuple[list[Row[Any]], str]:
    """A page of the groups that `reach` administers."""
    within = [] if reach is None else [groups.c.domain_id == reach]
    if request.user_id:
        within.append(groups.c.id.in_(memberships.groups_of(request.user_id)))
    return rows.listed(connection, groups, request, caller, "domain_id", "name", within=within)


def of_user(connection: Connection, request: Any, caller: Caller) -> tuple[list[Row[Any]], str]:
    """A page of the groups that the caller is in."""
    query = select(groups).where(groups.c.id.in_(memberships.groups_of(caller.user_id)))
    return page(connection, query, _ORDER, request, caller)


def create(connection: Connection, values: dict[str, Any]) -> Row[Any]:
    """A new group. Raises NOT_FOUND for the domain, ALREADY_EXISTS."""
    if rows.hold(connection, domains, values["domain_id"]) is None:
        raise not_found("domain", values["domain_id"])
    return rows.add(connection, groups, "group", values)


def update(connection: Connection, id: str, expected_revision: int, values: dict[str, Any]) -> Row[Any]:
    """Change a group. Raises ALREADY_EXISTS, REVISION_MISMATCH."""
    before = rows.hold(connection, groups, id, alone=True)
    if before is not None and "name" in values:
        same = (groups.c.domain_id == before.domain_id, groups.c.name == values["name"], groups.c.id != id)
        if connection.execute(select(groups.c.id).where(*same)).first() is not None:
            raise rows.name_taken("group", values["name"])
    return compare_and_swap(connection, groups, id, expected_revision, values)


def remove(connection: Connection, id: str, expected_revision: int) -> None:
    """Delete a group with what it has, and revoke what its members have by it."""
    rights.change(connection)
    compare_and_swap(connection, groups, id, expected_revision, {})
    for member in members(connection, id):
        rights.withdraw(connection, member, _held(connection, id))
    connection.execute(delete(groups).where(groups.c.id == id))


def listed_members(connection: Connection, request: Any, caller: Caller) -> tuple[list[Row[Any]], str]:
    """A page of the users in the group."""
    within = select(table.c.user_id).where(table.c.group_id == request.group_id, memberships.hold())
    query = select(users).where(users.c.id.in_(within))
    return page(connection, query, [users.c.created_at, users.c.id], request, caller)


def members(connection: Connection, id: str) -> list[str]:
    """Ids of the users in the group, in order."""
    query = select(table.c.user_id).where(table.c.group_id == id)
    return list(connection.scalars(query.order_by(table.c.user_id)))


def add_member(connection: Connection, id: str, user_id: str) -> None:
    """The user is in the group, if not there before."""
    rights.change(connection)
    memberships.add(connection, id, user_id)


def remove_member(connection: Connection, id: str, user_id: str) -> None:
    """The user leaves the group, and loses the tokens for what it has. Raises NOT_FOUND."""
    rights.change(connection)
    there = (table.c.group_id == id, table.c.user_id == user_id)
    if not connection.execute(delete(table).where(*there)).rowcount:
        message = f"The user {user_id} is not in the group {id}."
        raise CloudError("NOT_FOUND", message, resource_type="membership", id=user_id)
    rights.withdraw(connection, user_id, _held(connection, id))


def _held(connection: Connection, id: str) -> list[Row[Any]]:
    return list(connection.execute(select(assignments).where(assignments.c.group_id == id)))
