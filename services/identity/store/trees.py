"""Projects as trees: what is above one, and what is below."""

from typing import Any

from sqlalchemy import CTE, Connection, Row, Select, select

from services.identity.model import DEEPEST_PROJECT
from services.identity.store import rows
from services.identity.tables import projects


def lineage(connection: Connection, id: str, *, hold: bool = False) -> list[Row[Any]]:
    """The project and those above it, from itself upwards; empty when there is none. `hold`: see rows."""
    found: list[Row[Any]] = []
    while id and len(found) <= DEEPEST_PROJECT:
        row = rows.hold(connection, projects, id) if hold else rows.find(connection, projects, id)
        if row is None:
            return []
        found.append(row)
        id = row.parent_id
    return found


def below(connection: Connection, id: str) -> list[str]:
    """Ids of the project and of all that are below it."""
    return list(connection.scalars(select(subtree(select(projects.c.id).where(projects.c.id == id)).c.id)))


def parents_below(connection: Connection, id: str) -> dict[str, str]:
    """The project and all below it, each with the one above it; "" above the first."""
    tree = subtree(select(projects.c.id).where(projects.c.id == id))
    query = select(projects.c.id, projects.c.parent_id).join(tree, projects.c.id == tree.c.id)
    return {row.id: row.parent_id if row.id != id else "" for row in connection.execute(query)}


def subtree(roots: Select[Any], name: str = "tree") -> CTE:
    """The ids of `roots` (a query of ids) and of all that are below them."""
    tree = roots.cte(name, recursive=True)
    return tree.union(select(projects.c.id).join(tree, projects.c.parent_id == tree.c.id))
