"""Who has which role on what, and what that gives them."""

import uuid
from typing import Any

from sqlalchemy import Connection, Row, Select, and_, delete, or_, select
from sqlalchemy.dialects import postgresql, sqlite

from mesh.caller import Caller
from mesh.errors import CloudError
from mesh.paging import page
from services.identity.model import Target
from services.identity.store import revocations
from services.identity.tables import assignments, projects, roles, users

_INSERT: dict[str, Any] = {"sqlite": sqlite.insert, "postgresql": postgresql.insert}
# The namespace of assignments' ids.
_NAMESPACE = uuid.UUID("9a4c0a1e-7a1f-5c0e-8f0e-3d1a5e1b6c55")


def id_of(user_id: str, role_id: str, target: Target, inherited: bool) -> str:
    """The id of an assignment, derived from what it says: it exists once."""
    words = (user_id, role_id, target.project_id, target.domain_id, target.system, inherited)
    return str(uuid.uuid5(_NAMESPACE, repr(words)))


def grant(connection: Connection, user_id: str, role: Row[Any], target: Target, inherited: bool) -> Row[Any]:
    """Give the role, if the user has it not."""
    id = id_of(user_id, role.id, target, inherited)
    insert = _INSERT[connection.dialect.name](assignments).on_conflict_do_nothing()
    values = {
        "id": id,
        "user_id": user_id,
        "role_id": role.id,
        "project_id": target.project_id or None,
        "domain_id": target.domain_id or None,
        "system": target.system,
        "inherited": inherited,
    }
    connection.execute(insert.values(values))
    return connection.execute(_query().where(assignments.c.id == id)).one()


def revoke(
    connection: Connection,
    user_id: str,
    role: Row[Any],
    target: Target,
    inherited: bool,
    reached: list[str],
) -> None:
    """Take the role back, and revoke the user's tokens for the target and the projects `reached` by it.

    Raises NOT_FOUND when it was not given.
    """
    revocations.hold_user(connection, user_id)
    id = id_of(user_id, role.id, target, inherited)
    if not connection.execute(delete(assignments).where(assignments.c.id == id)).rowcount:
        message = f"The user {user_id} was not given the role {role.name} there."
        raise CloudError("NOT_FOUND", message, resource_type="assignment", id=id)
    if target.project_id:
        for project_id in reached:
            revocations.add(connection, user_id=user_id, project_id=project_id)
    else:
        revocations.add(connection, user_id=user_id, domain_id=target.domain_id)


def of_user(connection: Connection, user_id: str) -> list[Row[Any]]:
    """Every assignment of the user."""
    return list(connection.execute(_query().where(assignments.c.user_id == user_id)))


def roles_on(connection: Connection, user_id: str, target: Target, lineage: list[Row[Any]]) -> set[str]:
    """Names of the roles given to the user on the target, or inherited by it along its `lineage`."""
    query = select(roles.c.name).join(assignments, assignments.c.role_id == roles.c.id).distinct()
    return set(connection.scalars(query.where(assignments.c.user_id == user_id, _holds(target, lineage))))


def _holds(target: Target, lineage: list[Row[Any]]) -> Any:
    if target.system:
        return assignments.c.system
    if not target.project_id:
        return assignments.c.domain_id == target.domain_id
    above = [row.id for row in lineage[1:]]
    inherited = or_(assignments.c.project_id.in_(above), assignments.c.domain_id == lineage[0].domain_id)
    return or_(assignments.c.project_id == target.project_id, and_(assignments.c.inherited, inherited))


def listed(
    connection: Connection, request: Any, caller: Caller, reach: str | None
) -> tuple[list[Row[Any]], str]:
    """A page of the assignments on what `reach` administers, or of its users there."""
    query = _query()
    for column in ("user_id", "project_id", "domain_id", "role_id"):
        if getattr(request, column):
            query = query.where(assignments.c[column] == getattr(request, column))
    if request.system:
        query = query.where(assignments.c.system)
    if reach is not None:
        query = query.where(_within(reach))
    return page(connection, query, [assignments.c.created_at, assignments.c.id], request, caller)


def _within(domain_id: str) -> Any:
    own_projects = select(projects.c.id).where(projects.c.domain_id == domain_id)
    return or_(assignments.c.domain_id == domain_id, assignments.c.project_id.in_(own_projects))


def _query() -> Select[Any]:
    return select(assignments, roles.c.name.label("role_name")).join(
        roles, roles.c.id == assignments.c.role_id
    )


def user_domain(connection: Connection, user_id: str) -> str | None:
    """The domain of a user, or None when there is no such user."""
    return connection.scalar(select(users.c.domain_id).where(users.c.id == user_id))
