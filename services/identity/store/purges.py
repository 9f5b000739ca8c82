"""What a purge changes in identity's own tables."""

from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, or_, select

from mesh.database import compare_and_swap
from mesh.tables import operations
from services.identity.store import credentials, delegations, projects, rows
from services.identity.tables import delegations as delegation_table
from services.identity.tables import projects as project_table


def hold(connection: Connection, id: str, reach: str | None) -> Row[Any]:
    """The project, which nobody else changes until the unit ends. Raises NOT_FOUND."""
    rows.hold(connection, project_table, id, alone=True)
    return projects.get(connection, id, reach)


def begin(connection: Connection, id: str, expected_revision: int, operation_id: str) -> Row[Any]:
    """The project is being purged. Raises REVISION_MISMATCH."""
    return compare_and_swap(connection, project_table, id, expected_revision, {"operation_id": operation_id})


def close(connection: Connection, id: str) -> None:
    """Disable the project."""
    projects.update(connection, id, 0, {"enabled": False})


def open_again(connection: Connection, id: str) -> None:
    """Enable the project, if it is there."""
    if _is_there(connection, id):
        projects.update(connection, id, 0, {"enabled": True})


def end(connection: Connection, id: str) -> None:
    """It is not being purged any more, if it is there."""
    if _is_there(connection, id):
        compare_and_swap(connection, project_table, id, 0, {"operation_id": None})


def remove(connection: Connection, id: str) -> None:
    """The project goes, as by a deletion, if it is there. Raises IN_USE."""
    if _is_there(connection, id):
        projects.remove(connection, id, 0)


def _is_there(connection: Connection, id: str) -> bool:
    return rows.hold(connection, project_table, id, alone=True) is not None


def of_project(connection: Connection, id: str) -> list[Row[Any]]:
    """The credentials and trusts for the project, by kind, id and name."""
    return [*_delegations(connection, id), *credentials.of_project(connection, id)]


def _delegations(connection: Connection, id: str) -> list[Row[Any]]:
    """Those first that others were made by way of."""
    table = delegation_table
    query = select(table).where(table.c.project_id == id).order_by(table.c.created_at, table.c.id)
    return list(connection.execute(query))


def forget_own(connection: Connection, id: str) -> None:
    """Delete them, and revoke the tokens that rest on them."""
    for row in _delegations(connection, id):
        if rows.find(connection, delegation_table, row.id) is not None:
            delegations.remove(connection, row.id, 0)
    credentials.forget_of_project(connection, id)


def seen_by(user_id: str, reach: str | None) -> ColumnElement[bool] | None:
    """The condition for purges that somebody asked for, or whose project is in the domain that they reach;
    None for everything.
    """
    if reach is None:
        return None
    of_domain = select(project_table.c.id).where(project_table.c.domain_id == reach)
    return or_(operations.c.user_id == user_id, operations.c.project_id.in_(of_domain))


def sees(connection: Connection, operation_id: str, user_id: str, reach: str | None) -> bool:
    """The same of one purge."""
    within = seen_by(user_id, reach)
    if within is None:
        return True
    query = select(operations.c.id).where(operations.c.id == operation_id, within)
    return connection.execute(query).first() is not None
