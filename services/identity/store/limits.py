"""How much each project may have: defaults, and what a project has instead."""

from typing import Any

from sqlalchemy import Connection, Row, and_, func, select
from sqlalchemy.dialects import postgresql, sqlite

from mesh.caller import Caller
from mesh.errors import not_found
from mesh.paging import page
from services.identity.store import rows
from services.identity.tables import limits, projects

_INSERT: dict[str, Any] = {"sqlite": sqlite.insert, "postgresql": postgresql.insert}


def listed(
    connection: Connection, request: Any, caller: Caller, project_id: str
) -> tuple[list[Row[Any]], str]:
    """A page of the limits that hold for the project; of the defaults when it is empty."""
    own = limits.alias("own")
    mine = and_(
        own.c.service == limits.c.service,
        own.c.resource == limits.c.resource,
        own.c.project_id == project_id,
    )
    query = (
        select(limits.c.service, limits.c.resource, func.coalesce(own.c.limit, limits.c.limit).label("limit"))
        .select_from(limits.outerjoin(own, mine))
        .where(limits.c.project_id == "")
    )
    if request.service:
        query = query.where(limits.c.service == request.service)
    order = [limits.c.service, limits.c.resource]
    return page(connection, query, order, request, caller, [project_id])


def put(connection: Connection, service: str, resource: str, project_id: str, limit: int) -> None:
    """Set a limit. Raises NOT_FOUND for a project, or for a project's limit that has no default."""
    if project_id:
        if rows.hold(connection, projects, project_id) is None:
            raise not_found("project", project_id)
        default = (limits.c.service == service, limits.c.resource == resource, limits.c.project_id == "")
        if connection.execute(select(limits).where(*default)).first() is None:
            raise not_found("limit", f"{service}/{resource}")
    insert = _INSERT[connection.dialect.name](limits).values(
        service=service, resource=resource, project_id=project_id, limit=limit
    )
    key = ["service", "resource", "project_id"]
    connection.execute(insert.on_conflict_do_update(index_elements=key, set_={"limit": limit}))


def put_missing(connection: Connection, service: str, resource: str, limit: int) -> None:
    """Set a default where there is none."""
    insert = _INSERT[connection.dialect.name](limits).on_conflict_do_nothing()
    connection.execute(insert.values(service=service, resource=resource, project_id="", limit=limit))
