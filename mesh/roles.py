"""The default roles and the scopes, as contracts and tokens name them."""

from weft.options.v1 import access_pb2

# Each default role includes those before it.
ROLES = ("reader", "member", "manager", "admin")
# Which scopes of tokens a contract's scope takes.
SCOPES = {
    access_pb2.SCOPE_PROJECT: frozenset({"project", "system"}),
    access_pb2.SCOPE_DOMAIN: frozenset({"domain", "system"}),
    access_pb2.SCOPE_SYSTEM: frozenset({"system"}),
    access_pb2.SCOPE_ANY: frozenset({"none", "project", "domain", "system"}),
}


def at_least(least: int) -> frozenset[str]:
    """The names of the default roles that include `least` (a weft.options.v1.Role)."""
    return frozenset(ROLES[least - 1 :]) if least else frozenset()
