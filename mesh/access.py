"""May this caller call this RPC: the access rule of the contract, compiled once, default deny.

An operator's policy may put other roles, and fewer scopes, in the place of the contract's.
"""

from collections.abc import Callable

from mesh.caller import Caller, Kind
from mesh.contract import Method
from mesh.errors import CloudError
from mesh.policy import Override, Policy
from mesh.roles import ROLES, SCOPES, at_least
from weft.options.v1 import access_pb2
from weft.options.v1.access_pb2 import Access

_KINDS = {
    access_pb2.AUDIENCE_PUBLIC: frozenset(Kind),
    access_pb2.AUDIENCE_USER: frozenset({Kind.USER, Kind.SERVICE}),
    access_pb2.AUDIENCE_SERVICE: frozenset({Kind.SERVICE}),
    access_pb2.AUDIENCE_NODE: frozenset({Kind.NODE, Kind.SERVICE}),
}
Rule = Callable[[Caller], None]
_NO_POLICY = Policy()
_NOTHING = Override()


class RuleMissing(Exception):
    """An RPC has no access rule, or one that says nothing: the process must not serve it."""


def compile_rule(path: str, access: Access | None, policy: Policy = _NO_POLICY) -> Rule:
    """The check of one RPC: returns when the caller may, raises CloudError when not.

    Raises RuleMissing here and now for a rule that could let through somebody by omission.
    """
    _complete(path, access)
    assert access is not None
    kinds, scopes, roles = _KINDS[access.audience], SCOPES.get(access.scope), at_least(access.role)
    users_matter, permission = access.audience == access_pb2.AUDIENCE_USER, access.permission

    def rule(caller: Caller) -> None:
        if caller.kind not in kinds:
            raise _refused(access, caller)
        if not users_matter or caller.kind is not Kind.USER:
            return
        override = policy.overrides.get(permission)
        if override is not None:
            _follow(override, access, caller)
        elif (scopes and caller.scope not in scopes) or (roles and roles.isdisjoint(caller.roles)):
            raise _denied(access, caller)

    return rule


def _follow(override: Override, access: Access, caller: Caller) -> None:
    """The same for a permission that the policy speaks of: what it leaves out is the contract's."""
    scopes, roles = _in_force(access, override)
    if caller.scope not in scopes or (roles is not None and roles.isdisjoint(caller.roles)):
        raise CloudError(
            "PERMISSION_DENIED",
            f"The policy of this cloud asks for {_either(roles)} in a token of scope {_either(scopes)}.",
            permission=access.permission,
            scope=_either(scopes),
            role=_either(roles),
        )


def _in_force(access: Access, override: Override) -> tuple[frozenset[str], frozenset[str] | None]:
    """Scopes, and roles of which one is needed; None is any role."""
    roles = at_least(access.role) or None if override.roles is None else override.roles
    return SCOPES[access.scope] if override.scopes is None else override.scopes, roles


def _either(names: frozenset[str] | None) -> str:
    if names is None:
        return "any"
    ordered = [name for name in ROLES if name in names] + sorted(names.difference(ROLES))
    return " or ".join(ordered) or "nobody's"


def explain(method: Method, caller: Caller, policy: Policy = _NO_POLICY) -> list[str]:
    """Why the caller may or may not call, one sentence a check; the last one is the verdict."""
    access = method.access
    if access is None:
        return [f"{method.path} has no access rule: nobody may call it."]
    audience = access_pb2.Audience.Name(access.audience).removeprefix("AUDIENCE_")
    lines = [f"{method.path} needs the permission {access.permission}; it is meant for {audience}."]
    lines.append(f"The caller is a {caller.kind.value} with scope {caller.scope}.")
    if access.audience == access_pb2.AUDIENCE_USER and caller.kind is Kind.USER:
        lines += _explain_rule(access, policy.overrides.get(access.permission))
        lines.append(f"The caller's roles: {', '.join(sorted(caller.roles)) or 'none'}.")
    try:
        compile_rule(method.path, access, policy)(caller)
    except CloudError as error:
        return [*lines, f"Refused: {error.reason}."]
    return [*lines, "Allowed."]


def _explain_rule(access: Access, override: Override | None) -> list[str]:
    scopes, roles = _in_force(access, _NOTHING)
    lines = [f"By contract: roles {_either(roles)}; scopes {_either(scopes)}."]
    if override is not None:
        scopes, roles = _in_force(access, override)
        lines.append(f"The policy overrides it: roles {_either(roles)}; scopes {_either(scopes)}.")
    return lines


def _complete(path: str, access: Access | None) -> None:
    if access is None:
        raise RuleMissing(f"{path} has no access rule (option weft.options.v1.access)")
    if access.audience not in _KINDS:
        raise RuleMissing(f"{path}: its access rule names no audience")
    if access.audience == access_pb2.AUDIENCE_USER:
        if access.scope not in SCOPES:
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
