"""Who has which roles on a target, everything counted: given there or above, to a group, or implied."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from typing import Any

from sqlalchemy import (
    Connection,
    Row,
    Select,
    and_,
    bindparam,
    literal,
    null,
    or_,
    select,
    union,
    union_all,
)

from mesh import clock
from mesh.caller import Caller
from mesh.paging import page
from mesh.prepared import Prepared
from services.identity.model import Target
from services.identity.store import implications as implied
from services.identity.store import memberships as member
from services.identity.tables import assignments, groups, implications, memberships, roles, users


@dataclass(frozen=True, slots=True)
class Origin:
    """One way in which a role comes to a user; `path` is the roles that lead to it, by name."""

    assignment_id: str
    group_id: str
    group_name: str
    from_project_id: str
    from_domain_id: str
    path: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Effective:
    """A role that a user has, and every way in which it comes."""

    user_id: str
    role_id: str
    role_name: str
    origins: tuple[Origin, ...]


def roles_on(connection: Connection, user_id: str, target: Target, lineage: list[Row[Any]]) -> frozenset[str]:
    """Names of all roles that the user has on the target, which has this `lineage` when it is a project."""
    above = [row.id for row in lineage[1:]]
    domain_id = lineage[0].domain_id if lineage else target.domain_id
    values = {"user_id": user_id, "now": clock.now(), "project_id": target.project_id, "domain_id": domain_id}
    query = _roles_query(target.system, bool(target.project_id), bool(above))
    if above:
        values["above"] = above
    return frozenset(row.name for row in query.all(connection, **values))


@cache
def _roles_query(system: bool, project: bool, above: bool) -> Prepared:
    """The names, for a kind of target. Made once: to make it takes longer than to ask."""
    mine = member.groups_of(bindparam("user_id"), bindparam("now"))
    who = (assignments.c.user_id == bindparam("user_id"), assignments.c.group_id.in_(mine))
    there = _conditions(
        system,
        bindparam("project_id") if project else None,
        bindparam("domain_id"),
        bindparam("above", expanding=True) if above else None,
    )
    # One look-up in an index for each way: how much else the user has does not matter.
    given = [select(assignments.c.role_id).where(of, on) for of in who for on in there]
    held = select(union(*given).subquery().c.role_id).cte("held", recursive=True)
    more = select(implications.c.implied_role_id).join(held, implications.c.role_id == held.c.role_id)
    held = held.union(more)
    return Prepared(select(roles.c.name).where(roles.c.id.in_(select(held.c.role_id))))


def _on(target: Target, lineage: list[Row[Any]]) -> list[Any]:
    """The conditions, any of which makes an assignment hold on the target."""
    above = [row.id for row in lineage[1:]]
    domain_id = lineage[0].domain_id if lineage else target.domain_id
    return _conditions(target.system, target.project_id or None, domain_id, above or None)


def _conditions(system: bool, project_id: Any, domain_id: Any, above: Any) -> list[Any]:
    if system:
        return [assignments.c.system]
    if project_id is None:
        return [assignments.c.domain_id == domain_id]
    inherited = [assignments.c.domain_id == domain_id]
    if above is not None:
        inherited.append(assignments.c.project_id.in_(above))
    return [
        assignments.c.project_id == project_id,
        *(and_(assignments.c.inherited, there) for there in inherited),
    ]


def listed(
    connection: Connection, request: Any, caller: Caller, target: Target, lineage: list[Row[Any]]
) -> tuple[list[Effective], str]:
    """A page of users who have any role on the target, or the one asked for, with all that they have."""
    holding = _holding(target, lineage).subquery()
    query = select(users).where(users.c.id.in_(select(holding.c.holder)))
    if request.user_id:
        query = query.where(users.c.id == request.user_id)
    found, more = page(connection, query, [users.c.created_at, users.c.id], request, caller)
    rows = connection.execute(select(holding).where(holding.c.holder.in_([user.id for user in found])))
    by_user: dict[str, list[Row[Any]]] = {user.id: [] for user in found}
    for row in rows:
        by_user[row.holder].append(row)
    return list(_explained(connection, by_user, target)), more


def _holding(target: Target, lineage: list[Row[Any]]) -> Any:
    """Every assignment that holds on the target, once for each user who has it, with its group's name."""
    there = or_(*_on(target, lineage))
    columns = [assignments.c[name] for name in ("id", "group_id", "role_id", "project_id", "domain_id")]
    direct: Select[Any] = select(
        *columns, assignments.c.user_id.label("holder"), literal("").label("group_name")
    )
    by_group = select(*columns, memberships.c.user_id.label("holder"), groups.c.name.label("group_name"))
    by_group = by_group.join(memberships, memberships.c.group_id == assignments.c.group_id)
    by_group = by_group.join(groups, groups.c.id == assignments.c.group_id)
    return union_all(
        direct.where(there, assignments.c.user_id.is_not(null())),
        by_group.where(there, member.hold()),
    )


def _explained(
    connection: Connection, by_user: dict[str, list[Row[Any]]], target: Target
) -> Iterator[Effective]:
    edges = implied.graph(connection)
    names = {row.id: row.name for row in connection.execute(select(roles.c.id, roles.c.name))}
    for user_id, rows in by_user.items():
        found: dict[str, list[Origin]] = {}
        for row in rows:
            for role_id, path in _paths(edges, row.role_id):
                found.setdefault(role_id, []).append(_origin(row, target, [names[each] for each in path]))
        for role_id in sorted(found, key=lambda each: names[each]):
            yield Effective(user_id, role_id, names[role_id], tuple(found[role_id]))


def _paths(edges: dict[str, list[str]], start: str) -> Iterable[tuple[str, tuple[str, ...]]]:
    """Every role that `start` leads to, itself first, with the roles of a shortest way there."""
    found: dict[str, tuple[str, ...]] = {start: ()}
    waiting = [start]
    for role in waiting:
        for each in edges.get(role, ()):
            if each not in found:
                found[each] = (*found[role], role)
                waiting.append(each)
    return found.items()


def _origin(row: Row[Any], target: Target, path: list[str]) -> Origin:
    inherited_project = row.project_id if row.project_id != target.project_id else None
    inherited_domain = row.domain_id if target.project_id else None
    return Origin(
        assignment_id=row.id,
        group_id=row.group_id or "",
        group_name=row.group_name,
        from_project_id=inherited_project or "",
        from_domain_id=inherited_domain or "",
        path=tuple(path),
    )
