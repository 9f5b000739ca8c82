"""What a token may be given for: the user, the scope asked for and the roles held there, at one moment."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row

from mesh import clock
from mesh.errors import CloudError
from services.identity.model import Target, Wanted
from services.identity.store import domains, effective, projects, rows, trees
from services.identity.tables import domains as domain_table
from services.identity.tables import users as user_table


@dataclass(frozen=True, slots=True)
class Grant:
    """All that a token says, but for its id and its end."""

    user: Row[Any]
    target: Target
    project_name: str
    roles: frozenset[str]
    at: datetime


def refused() -> CloudError:
    """The one answer to everything that is wrong with a login: it says no more."""
    return CloudError("UNAUTHENTICATED", "The user, the password or the scope is not right.")


def grant(connection: Connection, user_id: str, wanted: Wanted | None) -> Grant:
    """What the user may have a token for. Raises UNAUTHENTICATED.

    Everything that could take it away is held until the unit ends, and the time is taken after that: what
    is revoked later is revoked with a later time. `wanted` None is the default project, or no scope.
    """
    user = rows.hold(connection, user_table, user_id)
    if user is None or not user.enabled or not _domain_enabled(connection, user.domain_id):
        raise refused()
    if wanted is None:
        return _default(connection, user)
    return _scoped(connection, user, wanted)


def _domain_enabled(connection: Connection, id: str) -> bool:
    row = rows.hold(connection, domain_table, id)
    return row is not None and row.enabled


def _default(connection: Connection, user: Row[Any]) -> Grant:
    if user.default_project_id:
        try:
            return _scoped(connection, user, Wanted(project_id=user.default_project_id))
        except CloudError:
            return _none(user)  # the project is gone, disabled or no longer the user's: no reason to lock out
    return _none(user)


def _none(user: Row[Any]) -> Grant:
    return Grant(user, Target(), "", frozenset(), clock.now())


def _scoped(connection: Connection, user: Row[Any], wanted: Wanted) -> Grant:
    target = _found(connection, wanted)
    if target.scope == "none":
        return _none(user)
    lineage = trees.lineage(connection, target.project_id, hold=True)
    if target.project_id:
        if not lineage or not all(row.enabled for row in lineage):
            raise refused()
        target = Target(project_id=target.project_id, domain_id=lineage[0].domain_id)
    if target.domain_id and not _domain_enabled(connection, target.domain_id):
        raise refused()
    roles = effective.roles_on(connection, user.id, target, lineage)
    if not roles:
        raise refused()
    return Grant(user, target, lineage[0].name if lineage else "", roles, clock.now())


def _found(connection: Connection, wanted: Wanted) -> Target:
    if wanted.system:
        return Target(system=True)
    if wanted.project_id:
        return Target(project_id=wanted.project_id)
    if wanted.domain_id:
        return Target(domain_id=wanted.domain_id)
    if not wanted.domain_name:
        return Target()
    domain = domains.named(connection, wanted.domain_name)
    if domain is None:
        raise refused()
    if not wanted.project_name:
        return Target(domain_id=domain.id)
    project = projects.named(connection, domain.id, wanted.project_name)
    if project is None:
        raise refused()
    return Target(project_id=project.id)
