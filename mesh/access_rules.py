"""Access rules: the RPCs that a delegated token is good for, whatever its roles allow.

A rule is an RPC without the leading slash, `weft.compute.v1.ServerService/GetServer`, or all of a service,
`weft.compute.v1.ServerService/*`. They bind who presents the token; a service that acts for that caller does
what the allowed call needs.
"""

from collections.abc import Collection

from mesh.caller import Caller, Kind
from mesh.errors import CloudError


def names(path: str) -> frozenset[str]:
    """The rules that allow the RPC of this path: the one that names it, and the one for its service."""
    rpc = path.removeprefix("/")
    return frozenset({rpc, service_of(rpc)})


def service_of(rule: str) -> str:
    """The rule for all of the service."""
    return f"{rule.partition('/')[0]}/*"


def check(caller: Caller, allowed_by: frozenset[str]) -> None:
    """Raises PERMISSION_DENIED when the caller's token has rules, and none of `allowed_by` is among them."""
    if caller.rules is None or caller.kind is not Kind.USER or not caller.rules.isdisjoint(allowed_by):
        return
    rpc = min(name for name in allowed_by if not name.endswith("/*"))
    raise CloudError(
        "PERMISSION_DENIED",
        f"The access rules of this token do not name {rpc}.",
        permission=rpc,
        scope=caller.scope,
        role="",
    )


def both(first: Collection[str] | None, second: Collection[str] | None) -> frozenset[str] | None:
    """What two sets of rules both allow; None allows everything."""
    if first is None or second is None:
        found = second if first is None else first
        return None if found is None else frozenset(found)
    return frozenset(
        rule
        for one, other in ((first, second), (second, first))
        for rule in one
        if rule in other or service_of(rule) in other
    )
