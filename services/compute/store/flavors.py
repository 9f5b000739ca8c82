"""Flavors, and which projects see the private ones."""

from typing import Any

from sqlalchemy import BindParameter, Connection, Row, Select, bindparam, delete, exists, insert, or_, select
from sqlalchemy.exc import IntegrityError

from mesh.caller import Caller
from mesh.database import compare_and_swap
from mesh.errors import CloudError, not_found
from mesh.paging import page
from mesh.prepared import Prepared
from services.compute.tables import flavor_access, flavors


def _visible(reach: str | BindParameter[str] | None) -> Select[Any]:
    if reach is None:
        return select(flavors)
    given = exists().where(flavor_access.c.flavor_id == flavors.c.id, flavor_access.c.project_id == reach)
    return select(flavors).where(or_(flavors.c.public, given))


_THIS = flavors.c.id == bindparam("id")
_GET = {
    True: Prepared(_visible(None).where(_THIS)),
    False: Prepared(_visible(bindparam("reach")).where(_THIS)),
}


def get(connection: Connection, id: str, reach: str | None) -> Row[Any]:
    """The flavor. Raises NOT_FOUND when there is none that `reach` may see."""
    row = _GET[reach is None].one(connection, id=id, reach=reach)
    if row is None:
        raise not_found("flavor", id)
    return row


def list_(connection: Connection, request: Any, caller: Caller) -> tuple[list[Row[Any]], str]:
    """A page of flavors, oldest first."""
    query = _visible(caller.reach)
    if request.name:
        query = query.where(flavors.c.name == request.name)
    if request.min_memory_mib:
        query = query.where(flavors.c.memory_mib >= request.min_memory_mib)
    if request.min_disk_gib:
        query = query.where(flavors.c.disk_gib >= request.min_disk_gib)
    return page(connection, query, [flavors.c.created_at, flavors.c.id], request, caller)


def create(connection: Connection, values: dict[str, Any]) -> Row[Any]:
    """Raises ALREADY_EXISTS when the name or id is taken."""
    try:
        with connection.begin_nested():
            return connection.execute(insert(flavors).values(**values).returning(flavors)).one()
    except IntegrityError as error:
        message = f"There is a flavor {values['name']!r}, or one with that id, already: choose another."
        raise CloudError("ALREADY_EXISTS", message, resource_type="flavor", name=values["name"]) from error


def update(connection: Connection, id: str, expected: int, values: dict[str, Any]) -> Row[Any]:
    """Raises NOT_FOUND, REVISION_MISMATCH."""
    return compare_and_swap(connection, flavors, id, expected, values)


def remove(connection: Connection, id: str, expected: int) -> None:
    """Raises NOT_FOUND, REVISION_MISMATCH."""
    compare_and_swap(connection, flavors, id, expected, {})
    connection.execute(delete(flavor_access).where(flavor_access.c.flavor_id == id))
    connection.execute(delete(flavors).where(flavors.c.id == id))


def add_access(connection: Connection, id: str, project_id: str) -> Row[Any]:
    """Let a project see a flavor; again is the same. Raises NOT_FOUND."""
    row = compare_and_swap(connection, flavors, id, None, {})
    remove_access(connection, id, project_id)
    connection.execute(insert(flavor_access).values(flavor_id=id, project_id=project_id))
    return row


def remove_access(connection: Connection, id: str, project_id: str) -> Row[Any]:
    """Let it see it no longer. Raises NOT_FOUND."""
    row = get(connection, id, None)
    same = (flavor_access.c.flavor_id == id, flavor_access.c.project_id == project_id)
    connection.execute(delete(flavor_access).where(*same))
    return row


def access(connection: Connection, request: Any, caller: Caller) -> tuple[list[Row[Any]], str]:
    """A page of the projects that see a flavor. Raises NOT_FOUND."""
    get(connection, request.id, None)
    query = select(flavor_access).where(flavor_access.c.flavor_id == request.id)
    return page(connection, query, [flavor_access.c.project_id], request, caller)
