"""Which roles bring which others."""

from typing import Any

from sqlalchemy import Connection, Row, Select, delete, select
from sqlalchemy.dialects import postgresql, sqlite

from mesh.caller import Caller
from mesh.errors import CloudError, invalid
from mesh.paging import page
from services.identity.model import IMPLIES, NEVER_IMPLIED
from services.identity.store import rights, rows
from services.identity.tables import assignments, implications, memberships, roles

_INSERT: dict[str, Any] = {"sqlite": sqlite.insert, "postgresql": postgresql.insert}
_first, _second = roles.alias("first"), roles.alias("second")


def listed(
    connection: Connection, request: Any, caller: Caller, reach: str | None
) -> tuple[list[Row[Any]], str]:
    """A page of the implications of the roles that `reach` sees."""
    query = _query()
    if reach is not None:
        query = query.where(_first.c.domain_id.in_(["", reach]))
    if request.role_id:
        query = query.where(implications.c.role_id == request.role_id)
    order = [implications.c.role_id, implications.c.implied_role_id]
    return page(connection, query, order, request, caller)


def _query() -> Select[Any]:
    return (
        select(implications, _first.c.name.label("role_name"), _second.c.name.label("implied_role_name"))
        .join(_first, _first.c.id == implications.c.role_id)
        .join(_second, _second.c.id == implications.c.implied_role_id)
    )


def graph(connection: Connection) -> dict[str, list[str]]:
    """The ids of the roles that each role implies itself."""
    found: dict[str, list[str]] = {}
    for row in connection.execute(select(implications)):
        found.setdefault(row.role_id, []).append(row.implied_role_id)
    return found


def create(connection: Connection, role_id: str, implied_role_id: str) -> Row[Any]:
    """The first role implies the second. Raises NOT_FOUND for a role, INVALID_ARGUMENT."""
    rights.change(connection)
    role, implied = rows.get(connection, roles, role_id), rows.get(connection, roles, implied_role_id)
    _refuse(role, implied)
    if role.id in reached(graph(connection), implied.id):
        raise invalid("implied_role_id", f"{implied.name} implies {role.name}: that would be a circle")
    put(connection, role.id, implied.id)
    return connection.execute(_query().where(*_is(role.id, implied.id))).one()


def _refuse(role: Row[Any], implied: Row[Any]) -> None:
    """A role must not come to more than those who gave it could see in it."""
    if not implied.domain_id and implied.name in NEVER_IMPLIED:
        raise invalid("implied_role_id", f"the role {implied.name} is given by itself only")
    if implied.domain_id not in ("", role.domain_id):
        raise invalid("implied_role_id", "a domain's role is implied by roles of that domain only")


def put(connection: Connection, role_id: str, implied_role_id: str) -> None:
    """Make the implication when there is none, and ask nothing."""
    insert = _INSERT[connection.dialect.name](implications).on_conflict_do_nothing()
    connection.execute(insert.values(role_id=role_id, implied_role_id=implied_role_id))


def remove(connection: Connection, role_id: str, implied_role_id: str) -> None:
    """End an implication, and revoke the tokens it was in. Raises NOT_FOUND, IN_USE for a default one."""
    rights.change(connection)
    row = connection.execute(_query().where(*_is(role_id, implied_role_id))).one_or_none()
    if row is None:
        message = f"The role {role_id} does not imply {implied_role_id}."
        raise CloudError("NOT_FOUND", message, resource_type="implication", id=role_id)
    if row.implied_role_name in IMPLIES.get(row.role_name, ()):
        message = f"That {row.role_name} implies {row.implied_role_name} is what weft's own rules build on."
        raise CloudError(
            "IN_USE", message, resource_type="implication", id=role_id, used_by_type="policy", used_by_id=""
        )
    affected = holdings(connection, role_id)
    connection.execute(delete(implications).where(*_is(role_id, implied_role_id)))
    for user_id, given in affected:
        rights.withdraw(connection, user_id, given)


def holdings(connection: Connection, role_id: str) -> list[tuple[str, list[Row[Any]]]]:
    """The users who have the role, directly, by a group or by implication, with what gives it to them."""
    implying: dict[str, list[str]] = {}
    for role, implied in graph(connection).items():
        for each in implied:
            implying.setdefault(each, []).append(role)
    having = assignments.c.role_id.in_(reached(implying, role_id))
    holder = memberships.c.user_id.label("holder")
    direct = select(assignments, assignments.c.user_id.label("holder")).where(
        having, assignments.c.user_id.is_not(None)
    )
    by_group = select(assignments, holder).join(memberships, memberships.c.group_id == assignments.c.group_id)
    found: dict[str, list[Row[Any]]] = {}
    for query in (direct, by_group.where(having)):
        for row in connection.execute(query):
            found.setdefault(row.holder, []).append(row)
    return sorted(found.items(), key=lambda item: item[0])


def reached(edges: dict[str, list[str]], start: str) -> set[str]:
    """`start`, and all that the edges lead to from there."""
    found, waiting = {start}, [start]
    while waiting:
        for each in edges.get(waiting.pop(), ()):
            if each not in found:
                found.add(each)
                waiting.append(each)
    return found


def _is(role_id: str, implied_role_id: str) -> tuple[Any, Any]:
    return implications.c.role_id == role_id, implications.c.implied_role_id == implied_role_id
