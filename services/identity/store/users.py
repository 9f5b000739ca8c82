"""Users and their password hashes."""

from functools import cache
from typing import Any

from sqlalchemy import Connection, Row, bindparam, delete, or_, select

from mesh.caller import Caller
from mesh.database import compare_and_swap
from mesh.errors import not_found
from mesh.prepared import Prepared
from services.identity.store import assignments, revocations, rows
from services.identity.tables import domains, totp, users


def get(connection: Connection, id: str, reach: str | None = None) -> Row[Any]:
    """The user. Raises NOT_FOUND, also when of another domain than `reach`."""
    row = rows.get(connection, users, id)
    if reach is not None and row.domain_id != reach:
        raise not_found("user", id)
    return row


def named(connection: Connection, domain_id: str, name: str) -> Row[Any] | None:
    """The user of that name in the domain, or None."""
    query = select(users).where(users.c.domain_id == domain_id, users.c.name == name)
    return connection.execute(query).one_or_none()


def for_login(
    connection: Connection, id: str, domain_name: str, name: str, domain_id: str = ""
) -> Row[Any] | None:
    """The user who logs in by id, or by name and domain; None when there is none who may. The domain's id,
    where it is given, counts and not its name. `second_factor` says whether the password is not enough.

    A disabled one is nobody from the beginning: the right password is then as wrong as any other.
    """
    said = {"id": id} if id else {"domain": domain_id or domain_name, "name": name}
    return _login_query(bool(id), bool(domain_id)).one(connection, **said)


@cache
def _login_query(by_id: bool, by_domain_id: bool) -> Prepared:
    """Made once for each way to say who one is: to make it takes longer than to ask."""
    device = select(totp.c.user_id).where(totp.c.user_id == users.c.id, totp.c.confirmed).exists()
    second_factor = or_(users.c.second_factor_required, device).label("second_factor")
    query = select(users, second_factor).join(domains, domains.c.id == users.c.domain_id)
    query = query.where(users.c.enabled, domains.c.enabled)
    if by_id:
        return Prepared(query.where(users.c.id == bindparam("id")))
    domain = domains.c.id if by_domain_id else domains.c.name
    return Prepared(query.where(domain == bindparam("domain"), users.c.name == bindparam("name")))


def listed(
    connection: Connection, request: Any, caller: Caller, reach: str | None
) -> tuple[list[Row[Any]], str]:
    """A page of the users that `reach` administers."""
    within = [] if reach is None else [users.c.domain_id == reach]
    return rows.listed(connection, users, request, caller, "domain_id", "name", within=within)


def has_system_role(connection: Connection, id: str) -> bool:
    """Whether the user has any role on the system, a group's included."""
    return any(row.system for row in assignments.of_user(connection, id))


def is_admin_anywhere(connection: Connection, id: str) -> bool:
    """Whether the user has the role admin on anything, a group's included."""
    return any(row.role_name == "admin" for row in assignments.of_user(connection, id))


def create(connection: Connection, values: dict[str, Any]) -> Row[Any]:
    """A new user. Raises NOT_FOUND for the domain, ALREADY_EXISTS."""
    if rows.hold(connection, domains, values["domain_id"]) is None:
        raise not_found("domain", values["domain_id"])
    return rows.add(connection, users, "user", values)


def update(connection: Connection, id: str, expected_revision: int, values: dict[str, Any]) -> Row[Any]:
    """Change a user; disabling, another password, or to ask for more at logins, revokes the user's tokens."""
    before = rows.hold(connection, users, id, alone=True)
    if before is not None and "name" in values:
        other = named(connection, before.domain_id, values["name"])
        if other is not None and other.id != id:
            raise rows.name_taken("user", values["name"])
    row = compare_and_swap(connection, users, id, expected_revision, values)
    if before is not None and (
        (before.enabled and not row.enabled)
        or before.password_hash != row.password_hash
        or (row.second_factor_required and not before.second_factor_required)
    ):
        revocations.add(connection, user_id=id)
    return row


def remove(connection: Connection, id: str, expected_revision: int) -> None:
    """Delete a user with the user's assignments, and revoke the user's tokens."""
    rows.hold(connection, users, id, alone=True)
    compare_and_swap(connection, users, id, expected_revision, {})
    connection.execute(delete(users).where(users.c.id == id))
    revocations.add(connection, user_id=id)
