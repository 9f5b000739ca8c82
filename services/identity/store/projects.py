"""Projects, in a tree under their domain."""

from typing import Any

from sqlalchemy import Connection, Row, delete, or_, select
from sqlalchemy import update as change

from mesh.caller import Caller
from mesh.database import compare_and_swap
from mesh.errors import invalid, not_found
from mesh.paging import page
from services.identity.model import DEEPEST_PROJECT
from services.identity.store import assignments as given
from services.identity.store import domains, limit_changes, revocations, rows, trees
from services.identity.tables import domains as domain_table
from services.identity.tables import limits, projects, users

_ORDER = [projects.c.created_at, projects.c.id]


def get(connection: Connection, id: str, reach: str | None = None) -> Row[Any]:
    """The project. Raises NOT_FOUND, also when it is in another domain than `reach`."""
    row = rows.get(connection, projects, id)
    if reach is not None and row.domain_id != reach:
        raise not_found("project", id)
    return row


def named(connection: Connection, domain_id: str, name: str) -> Row[Any] | None:
    """The project of that name in the domain, or None."""
    query = select(projects).where(projects.c.domain_id == domain_id, projects.c.name == name)
    return connection.execute(query).one_or_none()


def listed(
    connection: Connection, request: Any, caller: Caller, reach: str | None
) -> tuple[list[Row[Any]], str]:
    """A page of the projects that `reach` administers."""
    within = [] if reach is None else [projects.c.domain_id == reach]
    if request.ancestor_id:
        children = select(projects.c.id).where(projects.c.parent_id == request.ancestor_id)
        within.append(projects.c.id.in_(select(trees.subtree(children).c.id)))
    return rows.listed(connection, projects, request, caller, "domain_id", "name", "parent_id", within=within)


def of_user(connection: Connection, request: Any, caller: Caller) -> tuple[list[Row[Any]], str]:
    """A page of the projects that the caller has a role on, inherited ones included; none that is disabled,
    or below one that is, or of a disabled domain.
    """
    on = select(domain_table.c.id).where(domain_table.c.enabled)
    off = trees.subtree(select(projects.c.id).where(projects.c.enabled.is_(False)), "disabled")
    query = select(projects).where(
        _with_role(caller.user_id),
        projects.c.domain_id.in_(on),
        projects.c.id.not_in(select(off.c.id)),
    )
    return page(connection, query, _ORDER, request, caller)


def is_of_user(connection: Connection, id: str, user_id: str) -> bool:
    """Whether the user has a role on the project, given or inherited, directly or by a group."""
    query = select(projects.c.id).where(projects.c.id == id, _with_role(user_id))
    return connection.execute(query).first() is not None


def _with_role(user_id: str) -> Any:
    mine = given.has(user_id)
    roots = select(given.table.c.project_id.label("id")).where(
        mine, given.table.c.inherited, given.table.c.project_id.is_not(None)
    )
    direct = select(given.table.c.project_id).where(mine, given.table.c.project_id.is_not(None))
    domains = select(given.table.c.domain_id).where(
        mine, given.table.c.inherited, given.table.c.domain_id.is_not(None)
    )
    return or_(
        projects.c.id.in_(direct),
        projects.c.domain_id.in_(domains),
        projects.c.id.in_(select(trees.subtree(roots).c.id)),
    )


def create(connection: Connection, values: dict[str, Any]) -> Row[Any]:
    """A new project. Raises NOT_FOUND for the domain, INVALID_ARGUMENT for the parent, ALREADY_EXISTS."""
    if rows.hold(connection, domain_table, values["domain_id"]) is None:
        raise not_found("domain", values["domain_id"])
    if values.get("parent_id"):
        above = trees.lineage(connection, values["parent_id"], hold=True)
        if not above or above[0].domain_id != values["domain_id"]:
            raise invalid("parent_id", "there is no such project in the domain")
        if len(above) >= DEEPEST_PROJECT:
            raise invalid("parent_id", f"projects are nested {DEEPEST_PROJECT} deep at most")
    made = rows.add(connection, projects, "project", values)
    if made.parent_id:
        limit_changes.tell(connection, made.parent_id)
    return made


def update(connection: Connection, id: str, expected_revision: int, values: dict[str, Any]) -> Row[Any]:
    """Change a project; disabling it revokes the tokens for it and for all below it."""
    before = rows.hold(connection, projects, id, alone=True)
    if before is not None and "name" in values:
        other = named(connection, before.domain_id, values["name"])
        if other is not None and other.id != id:
            raise rows.name_taken("project", values["name"])
    row = compare_and_swap(connection, projects, id, expected_revision, values)
    if before is not None and before.enabled and not row.enabled:
        for each in trees.below(connection, id):
            revocations.add(connection, project_id=each)
    return row


def remove(connection: Connection, id: str, expected_revision: int) -> None:
    """Delete a project with its assignments and limits; its tokens are revoked. Raises IN_USE."""
    rows.hold(connection, projects, id, alone=True)
    gone = compare_and_swap(connection, projects, id, expected_revision, {})
    require_childless(connection, id)
    connection.execute(delete(limits).where(limits.c.project_id == id))
    connection.execute(change(users).where(users.c.default_project_id == id).values(default_project_id=None))
    connection.execute(delete(projects).where(projects.c.id == id))
    if gone.parent_id:
        limit_changes.tell(connection, gone.parent_id)
    revocations.add(connection, project_id=id)


def require_childless(connection: Connection, id: str) -> None:
    """Raises IN_USE for a project that has others below it."""
    child = connection.scalar(select(projects.c.id).where(projects.c.parent_id == id).limit(1))
    if child:
        raise domains.in_use("project", id, "project", child)
