"""Who may give which role to whom on what, and ask who has it."""

from typing import Any

from mesh.caller import Caller
from mesh.errors import CloudError, invalid, not_found
from services.identity.model import Target, administers, is_system, may_give, need_system
from services.identity.store import (
    assignments,
    domains,
    groups,
    implications,
    projects,
    rights,
    roles,
    trees,
    users,
)
from services.identity.store.assignments import Holder

_ROLE = "manager"


def named(connection: Any, request: Any, caller: Caller, project_admins: bool) -> tuple[Holder, Any, Target]:
    """Whom, which role and on what a request is about.

    Raises NOT_FOUND for what is out of the caller's reach, PERMISSION_DENIED for a role that the caller has
    not and where it takes the system.
    """
    rights.change(connection)
    target, domain_id = _target(connection, request, caller)
    holder = _holder(connection, request, caller)
    role = (
        roles.get(connection, request.role_id)
        if request.role_id
        else roles.named(connection, _role_name(request), domain_id)
    )
    if role.domain_id not in ("", domain_id):
        raise not_found("role", role.id)
    if role.name == "service":
        need_system(caller, "The role service")
    need_roles(connection, caller, [role.id], project_admins)
    return holder, role, target


def need_roles(connection: Any, caller: Caller, role_ids: list[str], project_admins: bool) -> None:
    """Raises PERMISSION_DENIED for roles that the caller has not, with all that they imply.

    Where `project_admins` administer the cloud, the role admin is the system's to give, on whatever it is.
    """
    graph = implications.graph(connection)
    given = {id for start in role_ids for id in implications.reached(graph, start)}
    names = {roles.get(connection, id).name for id in given}
    if project_admins and "admin" in names:
        need_system(caller, "The role admin, which in this cloud is one on all of it,")
    if not may_give(caller, names):
        missing = ", ".join(sorted(names - caller.roles))
        message = f"You cannot give or take what you do not have yourself: {missing}."
        raise CloudError("PERMISSION_DENIED", message, scope=caller.scope, role=missing)


def need_rights_of(connection: Any, caller: Caller, group: Any, project_admins: bool) -> None:
    """Raises PERMISSION_DENIED unless the caller could give everything that the group has."""
    if is_system(caller):
        return
    held = assignments.of_group(connection, group.id)
    if not all(_within(connection, row, group.domain_id) for row in held):
        message = (
            f"The group {group.name} has roles outside of its domain: this needs a token for the system."
        )
        raise CloudError("PERMISSION_DENIED", message, scope="system", role="admin")
    need_roles(connection, caller, [row.role_id for row in held], project_admins)


def _within(connection: Any, row: Any, domain_id: str) -> bool:
    if row.project_id:
        return bool(projects.get(connection, row.project_id).domain_id == domain_id)
    return bool(row.domain_id == domain_id)


def _holder(connection: Any, request: Any, caller: Caller) -> Holder:
    if bool(request.user_id) == bool(request.group_id):
        raise invalid("user_id", "give either user_id or group_id")
    if request.group_id:
        _in_reach(caller, groups.get(connection, request.group_id).domain_id, "group", request.group_id)
        return Holder(group_id=request.group_id)
    _in_reach(caller, users.get(connection, request.user_id).domain_id, "user", request.user_id)
    return Holder(user_id=request.user_id)


def _role_name(request: Any) -> str:
    if not request.role_name:
        raise invalid("role_name", "name the role, or give role_id")
    return str(request.role_name)


def _target(connection: Any, request: Any, caller: Caller) -> tuple[Target, str]:
    if request.WhichOneof("target") == "system":
        need_system(caller, "A role on the system")
        if request.inherited:
            raise invalid("inherited", "there is nothing below the system")
        return Target(system=True), ""
    if request.domain_id:
        _in_reach(caller, request.domain_id, "domain", request.domain_id)
        domains.get(connection, request.domain_id)
        return Target(domain_id=request.domain_id), request.domain_id
    project = projects.get(connection, request.project_id)
    _in_reach(caller, project.domain_id, "project", project.id)
    return Target(project_id=project.id), project.domain_id


def _in_reach(caller: Caller, domain_id: str, kind: str, id: str, role: str = _ROLE) -> None:
    if not administers(caller, domain_id, role):
        raise not_found(kind, id)


def asked(connection: Any, request: Any, caller: Caller) -> tuple[Target, list[Any]]:
    """The target whose roles somebody wants to know, and its lineage. Raises NOT_FOUND out of reach."""
    own = bool(request.user_id) and request.user_id == caller.user_id
    if request.WhichOneof("target") == "system":
        if not own and not is_system(caller):
            raise not_found("system", "system")
        return Target(system=True), []
    if request.domain_id:
        if not own:
            _in_reach(caller, request.domain_id, "domain", request.domain_id, "reader")
        return Target(domain_id=request.domain_id), []
    lineage = trees.lineage(connection, request.project_id)
    if not lineage:
        raise not_found("project", request.project_id)
    if not own:
        _in_reach(caller, lineage[0].domain_id, "project", request.project_id, "reader")
    elif not projects.is_of_user(connection, request.project_id, caller.user_id):
        raise not_found("project", request.project_id)
    return Target(request.project_id, lineage[0].domain_id), lineage
