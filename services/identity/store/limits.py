"""How much each project may have: defaults, and what projects have of their own."""

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from sqlalchemy import Connection, Row, Select, delete, select
from sqlalchemy.dialects import postgresql, sqlite

from mesh import locks
from mesh.caller import Caller
from mesh.errors import not_found
from mesh.paging import page
from services.identity.limit_trees import LimitTree
from services.identity.store import limit_changes, rows, trees
from services.identity.tables import limits, projects

_INSERT: dict[str, Any] = {"sqlite": sqlite.insert, "postgresql": postgresql.insert}


def listed(
    connection: Connection, request: Any, caller: Caller, project_id: str
) -> tuple[list[Row[Any]], str]:
    """A page of the defaults; `project_id` is whose limits they are read for."""
    query = select(limits).where(limits.c.project_id == "")
    if request.service:
        query = query.where(limits.c.service == request.service)
    order = [limits.c.service, limits.c.resource]
    return page(connection, query, order, request, caller, [project_id])


def of_tree(connection: Connection, project_id: str, defaults: Iterable[Row[Any]]) -> list[LimitTree]:
    """For each of the defaults, the limits in the whole tree that the project is in."""
    above = trees.lineage(connection, project_id)
    parents = trees.parents_below(connection, above[-1].id) if above else {project_id: ""}
    found = _own(connection, select(limits).where(limits.c.project_id.in_(parents)))
    return [LimitTree(parents, found.get((row.service, row.resource), {}), row.limit) for row in defaults]


def _own(connection: Connection, query: Select[Any]) -> dict[tuple[str, str], dict[str, int]]:
    """Limits of projects by what they limit, and whose they are."""
    found: dict[tuple[str, str], dict[str, int]] = {}
    for row in connection.execute(query.where(limits.c.project_id != "")):
        found.setdefault((row.service, row.resource), {})[row.project_id] = row.limit
    return found


def put(
    connection: Connection, service: str, resource: str, project_id: str, limit: int
) -> tuple[Row[Any], LimitTree]:
    """Set a limit; its row, and the tree that it is in. Raises NOT_FOUND for a project, or for a project's
    limit that has no default, and LIMIT_REFUSED.
    """
    locks.hold(connection, "identity limits")
    if project_id:
        if rows.hold(connection, projects, project_id) is None:
            raise not_found("project", project_id)
        before = _tree(connection, service, resource, project_id)
        tree = replace(before, own={**before.own, project_id: limit})
        tree.refuse(project_id, resource)
    else:
        _refuse_default(connection, service, resource, limit)
        tree = LimitTree({"": ""}, {}, limit)
    insert = _INSERT[connection.dialect.name](limits).values(
        service=service, resource=resource, project_id=project_id, limit=limit
    )
    key = ["service", "resource", "project_id"]
    insert = insert.on_conflict_do_update(index_elements=key, set_={"limit": limit})
    limit_changes.tell(connection, project_id)
    return connection.execute(insert.returning(limits)).one(), tree


def take(connection: Connection, service: str, resource: str, project_id: str) -> None:
    """Delete a project's own limit. Raises NOT_FOUND, and LIMIT_REFUSED when projects below have more."""
    locks.hold(connection, "identity limits")
    tree = _tree(connection, service, resource, project_id)
    if project_id not in tree.own:
        raise not_found("limit", f"{service}/{resource} of {project_id}")
    after = replace(tree, own={each: limit for each, limit in tree.own.items() if each != project_id})
    after.refuse(after.owner(project_id), resource)
    connection.execute(delete(limits).where(*_key(service, resource), limits.c.project_id == project_id))
    limit_changes.tell(connection, project_id)


def _tree(connection: Connection, service: str, resource: str, project_id: str) -> LimitTree:
    """The limits of this resource above and below the project. Raises NOT_FOUND when it has no default."""
    default = connection.execute(
        select(limits).where(*_key(service, resource), limits.c.project_id == "")
    ).first()
    if default is None:
        raise not_found("limit", f"{service}/{resource}")
    return of_tree(connection, project_id, [default])[0]


def _refuse_default(connection: Connection, service: str, resource: str, limit: int) -> None:
    """Raises LIMIT_REFUSED when a topmost project that has the default has less than is reserved of it."""
    own = _own(connection, select(limits).where(*_key(service, resource))).get((service, resource), {})
    parents: dict[str, str] = {}
    for project_id in own:
        parents.update({row.id: row.parent_id or "" for row in trees.lineage(connection, project_id)})
    tree = LimitTree(parents, own, limit)
    for top in sorted(each for each, parent in parents.items() if not parent and each not in own):
        tree.refuse(top, resource)


def _key(service: str, resource: str) -> tuple[Any, Any]:
    return limits.c.service == service, limits.c.resource == resource


def put_missing(connection: Connection, service: str, resource: str, limit: int) -> None:
    """Set a default where there is none."""
    insert = _INSERT[connection.dialect.name](limits).on_conflict_do_nothing()
    connection.execute(insert.values(service=service, resource=resource, project_id="", limit=limit))
