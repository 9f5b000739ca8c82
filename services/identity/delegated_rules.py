"""Access rules as people write them, made into the RPCs that a token carries."""

from collections.abc import Iterable
from typing import Any

from mesh import access_rules, bindings
from mesh.errors import invalid

# Characters of all the rules of a token: it has to fit into a header.
LONGEST = 3072


def compiled(rules: Iterable[Any]) -> list[str]:
    """The RPCs that the rules (AccessRule) name, in order. Blocking at its first use: it reads all contracts.

    Raises INVALID_ARGUMENT for a rule that no contract knows, and for too many.
    """
    found = {rpc for position, rule in enumerate(rules) for rpc in _named(f"access_rules[{position}]", rule)}
    if sum(map(len, found)) > LONGEST:
        raise invalid("access_rules", "these are too many for a token: name whole services, with *")
    return sorted(found)


def _named(field: str, rule: Any) -> Iterable[str]:
    if bool(rule.rpc) == bool(rule.path) or bool(rule.path) != bool(rule.method):
        raise invalid(field, "give either rpc, or method and path")
    if rule.path:
        found = bindings.by_path(rule.method, rule.path)
    else:
        found = frozenset({rule.rpc} & (bindings.rpcs() | set(map(access_rules.service_of, bindings.rpcs()))))
    if not found:
        raise invalid(field, f"no contract has {rule.rpc or f'{rule.method} {rule.path}'}")
    return found
