"""What a token may be given for: the user, the scope asked for and the roles held there, at one moment."""

from dataclasses import dataclass, replace
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
class Delegated:
    """What a token says besides when it came about by delegation: `ids` from the first to the one used."""

    ids: tuple[str, ...]
    vouched_by: tuple[str, ...]
    rules: frozenset[str] | None
    expires_at: datetime | None


@dataclass(frozen=True, slots=True)
class Grant:
    """All that a token says, but for its id and its end."""

    user: Row[Any]
    target: Target
    project_name: str
    roles: frozenset[str]
    at: datetime
    delegated: Delegated | None = None


def refused() -> CloudError:
    """The one answer to everything that is wrong with a login: it says no more."""
    return CloudError("UNAUTHENTICATED", "The user, the password or the scope is not right.")


def grant(connection: Connection, user_id: str, wanted: Wanted | None) -> Grant:
    """What the user may have a token for. Raises UNAUTHENTICATED.

    Everything that could take it away is held until the unit ends, and the time is taken after that: what
    is revoked later is revoked with a later time. `wanted` None is the default project, or no scope.
    """
    user = live_user(connection, user_id)
    if wanted is None:
        return _default(connection, user)
    return _scoped(connection, user, wanted)


def live_user(connection: Connection, id: str) -> Row[Any]:
    """The user, held, who may have tokens. Raises UNAUTHENTICATED."""
    user = rows.hold(connection, user_table, id)
    if user is None or not user.enabled:
        raise refused()
    _live_domain(connection, user.domain_id)
    return user


def live_project(connection: Connection, id: str) -> list[Row[Any]]:
    """The project and those above it, held, which tokens may be for. Raises UNAUTHENTICATED."""
    lineage = trees.lineage(connection, id, hold=True)
    if not lineage or not all(row.enabled for row in lineage):
        raise refused()
    _live_domain(connection, lineage[0].domain_id)
    return lineage


def _live_domain(connection: Connection, id: str) -> None:
    row = rows.hold(connection, domain_table, id)
    if row is None or not row.enabled:
        raise refused()


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
    target, lineage = found(connection, wanted), []
    if target.scope == "none":
        return _none(user)
    if target.project_id:
        lineage = live_project(connection, target.project_id)
        target = Target(project_id=target.project_id, domain_id=lineage[0].domain_id)
    elif target.domain_id:
        _live_domain(connection, target.domain_id)
    roles = effective.roles_on(connection, user.id, target, lineage)
    if not roles and wanted.by_project_id:
        return _over_the_cloud(connection, user, wanted.by_project_id)
    if not roles:
        raise refused()
    return Grant(user, target, lineage[0].name if lineage else "", roles, clock.now())


def _over_the_cloud(connection: Connection, user: Row[Any], project_id: str) -> Grant:
    """The system, for who has the role admin on a project. Raises UNAUTHENTICATED.

    The token says that project too, so that it ends with the role there, and with the project.
    """
    given = _scoped(connection, user, Wanted(project_id=project_id))
    if "admin" not in given.roles:
        raise refused()
    return replace(given, target=replace(given.target, system=True))


def found(connection: Connection, wanted: Wanted) -> Target:
    """What is asked for, by ids. Raises UNAUTHENTICATED for a name that nothing has."""
    if wanted.system:
        return Target(system=True)
    if wanted.project_id:
        return Target(project_id=wanted.project_id)
    domain_id = wanted.domain_id
    if not domain_id:
        if not wanted.domain_name:
            return Target()
        domain = domains.named(connection, wanted.domain_name)
        if domain is None:
            raise refused()
        domain_id = domain.id
    if not wanted.project_name:
        return Target(domain_id=domain_id)
    project = projects.named(connection, domain_id, wanted.project_name)
    if project is None:
        raise refused()
    return Target(project_id=project.id)
