"""May this caller call this RPC: the access rule of the contract, compiled once, default deny."""

from collections.abc import Callable
from functools import cache

from mesh.caller import Caller, Kind
from mesh.contract import Method
from mesh.errors import CloudError
from weft.options.v1 import access_pb2
from weft.options.v1.access_pb2 import Access

# Each default role includes those before it.
ROLES = ("reader", "member", "manager", "admin")
_SCOPES = {
    access_pb2.SCOPE_PROJECT: frozenset({"project", "system"}),
    access_pb2.SCOPE_DOMAIN: frozenset({"domain", "system"}),
    access_pb2.SCOPE_SYSTEM: frozenset({"system"}),
    access_pb2.SCOPE_ANY: frozenset({"none", "project", "domain", "system"}),
}
_KINDS = {
    access_pb2.AUDIENCE_PUBLIC: frozenset(Kind),
    access_pb2.AUDIENCE_USER: frozenset({Kind.USER, Kind.SERVICE}),
    access_pb2.AUDIENCE_SERVICE: frozenset({Kind.SERVICE}),
    access_pb2.AUDIENCE_NODE: frozenset({Kind.NODE, Kind.SERVICE}),
}
Rule = Callable[[Caller], None]


class RuleMissing(Exception):
    """An RPC has no access rule, or one that says nothing: the process must not serve it."""


def roles_for(least: int) -> frozenset[str]:
    """The names of the default roles that include `least` (a weft.options.v1.Role)."""
    return frozenset(ROLES[least - 1 :]) if least else frozenset()


def compile_rule(path: str, access: Access | None) -> Rule:
    """The check of one RPC: returns when the caller may, raises CloudError when not.

    Raises RuleMissing here and now for a rule that could let through somebody by omission.
    """
    _complete(path, access)
    assert access is not None
    kinds, scopes, roles = _KINDS[access.audience], _SCOPES.get(access.scope), roles_for(access.role)
    users_matter = access.audience == access_pb2.AUDIENCE_USER

    def rule(caller: Caller) -> None:
        if caller.kind not in kinds:
            raise _refused(access, caller)
        if users_matter and caller.kind is Kind.USER:
            if scopes is not None and caller.scope not in scopes:
                raise _denied(access, caller)
            if roles and roles.isdisjoint(caller.roles):
                raise _denied(access, caller)

    return rule


def check(method: Method, caller: Caller) -> None:
    """Raises UNAUTHENTICATED, AUDIENCE_REFUSED or PERMISSION_DENIED when the caller may not call."""
    _rule(method)(caller)


@cache
def _rule(method: Method) -> Rule:
    return compile_rule(method.path, method.access)


def explain(method: Method, caller: Caller) -> list[str]:
    """Why the caller may or may not call, one sentence a check; the last one is the verdict."""
    access = method.access
    if access is None:
        return [f"{method.path} has no access rule: nobody may call it."]
    audience = access_pb2.Audience.Name(access.audience).removeprefix("AUDIENCE_")
    lines = [f"{method.path} needs the permission {access.permission}; it is meant for {audience}."]
    lines.append(f"The caller is a {caller.kind.value} with scope {caller.scope}.")
    if access.audience == access_pb2.AUDIENCE_USER and caller.kind is Kind.USER:
        scopes, roles = _SCOPES[access.scope], roles_for(access.role)
        lines.append(f"Scopes that do: {', '.join(sorted(scopes))}.")
        lines.append(f"Roles that do: {', '.join(r for r in ROLES if r in roles) or 'any'}.")
        lines.append(f"The caller's roles: {', '.join(sorted(caller.roles)) or 'none'}.")
    try:
        check(method, caller)
    except CloudError as error:
        return [*lines, f"Refused: {error.reason}."]
    return [*lines, "Allowed."]


def _complete(path: str, access: Access | None) -> None:
    if access is None:
        raise RuleMissing(f"{path} has no access rule (option weft.options.v1.access)")
    if access.audience not in _KINDS:
        raise RuleMissing(f"{path}: its access rule names no audience")
    if access.audience == access_pb2.AUDIENCE_USER:
        if access.scope not in _SCOPES:
            raise RuleMissing(f"{path}: its access rule names no scope")
        if not access.role and access.scope != access_pb2.SCOPE_ANY:
            raise RuleMissing(f"{path}: its access rule names no role")


def _refused(access: Access, caller: Caller) -> CloudError:
    if caller.kind is Kind.ANONYMOUS:
        return CloudError("UNAUTHENTICATED", "This needs a token: log in first.")
    audience = access_pb2.Audience.Name(access.audience).removeprefix("AUDIENCE_").lower()
    return CloudError("AUDIENCE_REFUSED", "This is not for callers of your kind.", audience=audience)


def _denied(access: Access, caller: Caller) -> CloudError:
    needed = ROLES[access.role - 1] if access.role else "any"
    scope = access_pb2.Scope.Name(access.scope).removeprefix("SCOPE_").lower()
    return CloudError(
        "PERMISSION_DENIED",
        f"This needs the role {needed} in a token of scope {scope}; yours is of scope {caller.scope}.",
        permission=access.permission,
        scope=scope,
        role=needed,
    )
