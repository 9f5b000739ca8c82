"""Who was given which role on what."""

import uuid
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Row, Select, delete, or_, select
from sqlalchemy.dialects import postgresql, sqlite

from mesh.caller import Caller
from mesh.errors import CloudError
from mesh.paging import page
from services.identity.model import Target
from services.identity.store import groups, memberships, rights
from services.identity.tables import assignments, projects, roles

table = assignments

_INSERT: dict[str, Any] = {"sqlite": sqlite.insert, "postgresql": postgresql.insert}
# The namespace of assignments' ids.
_NAMESPACE = uuid.UUID("9a4c0a1e-7a1f-5c0e-8f0e-3d1a5e1b6c55")


@dataclass(frozen=True, slots=True)
class Holder:
    """Who has a role: a user or a group."""

    user_id: str = ""
    group_id: str = ""


def id_of(holder: Holder, role_id: str, target: Target, inherited: bool) -> str:
    """The id of an assignment, derived from what it says: it exists once."""
    who = (holder.user_id,) if holder.user_id else ("group", holder.group_id)
    words = (*who, role_id, target.project_id, target.domain_id, target.system, inherited)
    return str(uuid.uuid5(_NAMESPACE, repr(words)))


def grant(
    connection: Connection, holder: Holder, role: Row[Any], target: Target, inherited: bool
) -> Row[Any]:
    """Give the role, if the holder has it not."""
    rights.change(connection)
    id = id_of(holder, role.id, target, inherited)
    insert = _INSERT[connection.dialect.name](assignments).on_conflict_do_nothing()
    values = {
        "id": id,
        "user_id": holder.user_id or None,
        "group_id": holder.group_id or None,
        "role_id": role.id,
        "project_id": target.project_id or None,
        "domain_id": target.domain_id or None,
        "system": target.system,
        "inherited": inherited,
    }
    connection.execute(insert.values(values))
    return connection.execute(_query().where(assignments.c.id == id)).one()


def revoke(connection: Connection, holder: Holder, role: Row[Any], target: Target, inherited: bool) -> None:
    """Take the role back, and revoke the tokens that the user, or each member of the group, has by it.

    Raises NOT_FOUND when it was not given.
    """
    rights.change(connection)
    id = id_of(holder, role.id, target, inherited)
    row = connection.execute(delete(assignments).where(assignments.c.id == id).returning(assignments)).first()
    if row is None:
        kind = "user" if holder.user_id else "group"
        message = f"The {kind} {holder.user_id or holder.group_id} was not given the role {role.name} there."
        raise CloudError("NOT_FOUND", message, resource_type="assignment", id=id)
    losing = [holder.user_id] if holder.user_id else groups.members(connection, holder.group_id)
    for user_id in losing:
        rights.withdraw(connection, user_id, [row])


def has(user_id: str) -> Any:
    """The condition that an assignment is the user's, or of a group that the user is in."""
    mine = memberships.groups_of(user_id)
    return or_(assignments.c.user_id == user_id, assignments.c.group_id.in_(mine))


def of_group(connection: Connection, group_id: str) -> list[Row[Any]]:
    """Every assignment of the group."""
    return list(connection.execute(_query().where(assignments.c.group_id == group_id)))


def of_user(connection: Connection, user_id: str) -> list[Row[Any]]:
    """Every assignment of the user, and of the user's groups."""
    return list(connection.execute(_query().where(has(user_id))))


def listed(
    connection: Connection, request: Any, caller: Caller, reach: str | None
) -> tuple[list[Row[Any]], str]:
    """A page of the assignments on what `reach` administers, or of its users there."""
    query = _query()
    for column in ("user_id", "group_id", "project_id", "domain_id", "role_id"):
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
