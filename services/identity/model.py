"""The rules of identity: roles and what they imply, who may see and administer whom, default limits."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import timedelta
from types import MappingProxyType

from mesh.caller import Caller, Kind
from mesh.errors import CloudError

DEFAULT_DOMAIN = "Default"
# Each role carries those that it implies, and so on.
IMPLIES = MappingProxyType({"admin": ("manager",), "manager": ("member",), "member": ("reader",)})
# These are given by themselves, never by way of another.
NEVER_IMPLIED = frozenset({"admin", "service"})
DEFAULT_ROLES = MappingProxyType(
    {
        "reader": "May look at everything in its scope.",
        "member": "May also create and change resources.",
        "manager": "May also manage a project's quota, members and shared resources.",
        "admin": "May do everything in its scope.",
        "service": "Marks an account that a program uses; carries no permission by itself.",
    }
)
# No token lives longer, so no revocation need be remembered longer.
LONGEST_TOKEN = timedelta(hours=24)
DEEPEST_PROJECT = 8
DEFAULT_LIMITS = MappingProxyType(
    {
        ("compute", "servers"): 20,
        ("compute", "vcpus"): 40,
        ("compute", "memory_mib"): 102400,
        ("block", "volumes"): 20,
        ("block", "volume_gib"): 1000,
        ("block", "snapshots"): 20,
        ("network", "networks"): 100,
        ("network", "subnets"): 100,
        ("network", "ports"): 500,
        ("network", "routers"): 10,
        ("network", "floating_ips"): 50,
        ("network", "security_groups"): 20,
        ("network", "security_group_rules"): 200,
        ("image", "images"): 100,
        ("image", "image_bytes"): 100 * 2**30,
    }
)


@dataclass(frozen=True, slots=True)
class Target:
    """What a role is on, or a token is for: a project, a domain, the system, or nothing."""

    project_id: str = ""
    domain_id: str = ""
    system: bool = False

    @property
    def scope(self) -> str:
        """The scope's name in a token."""
        if self.system:
            return "system"
        if self.project_id:
            return "project"
        return "domain" if self.domain_id else "none"


@dataclass(frozen=True, slots=True)
class Wanted:
    """The scope that a login asks for, by id or by name; all empty is no scope.

    `by_project_id` is a project whose administrators may have the system's.
    """

    project_id: str = ""
    project_name: str = ""
    domain_id: str = ""
    domain_name: str = ""
    system: bool = False
    trust_id: str = ""
    by_project_id: str = ""


def closure(roles: Iterable[str]) -> frozenset[str]:
    """The roles with everything that they imply."""
    found: set[str] = set()
    waiting = list(roles)
    while waiting:
        role = waiting.pop()
        if role not in found:
            found.add(role)
            waiting.extend(IMPLIES.get(role, ()))
    return frozenset(found)


def is_system(caller: Caller) -> bool:
    """Whether the caller looks at the whole cloud: a system scope, or a service on its own account."""
    return caller.scope == "system" or (caller.kind is Kind.SERVICE and caller.for_nobody)


def domain_reach(caller: Caller) -> str | None:
    """The domain whose users and projects the caller administers; None is every domain, "" is none."""
    if is_system(caller):
        return None
    return caller.domain_id if caller.scope == "domain" else ""


def administers(caller: Caller, domain_id: str, role: str = "admin") -> bool:
    """Whether the caller has `role` over the domain, for rules that the contract leaves to the service."""
    if caller.kind is Kind.SERVICE and caller.for_nobody:
        return True
    return domain_reach(caller) in (None, domain_id) and role in closure(caller.roles)


def may_give(caller: Caller, roles: Iterable[str]) -> bool:
    """Whether the caller may give or take roles of these names: nobody hands out what they have not."""
    return is_system(caller) or closure(caller.roles) >= frozenset(roles)


def need_system(caller: Caller, what: str) -> None:
    """Raises PERMISSION_DENIED to all but the system's administrators and services of their own accord."""
    if caller.scope == "system" and "admin" in closure(caller.roles):
        return
    if caller.kind is not Kind.SERVICE or not caller.for_nobody:
        message = f"{what} needs the role admin on the system."
        raise CloudError("PERMISSION_DENIED", message, scope="system", role="admin")


@dataclass(frozen=True, slots=True)
class Sight:
    """Whose events of the audit trail somebody sees: a project's, a domain's, everybody's, or their own."""

    user_id: str
    project_id: str = ""
    domain_id: str = ""
    everything: bool = False


def sight(caller: Caller) -> Sight:
    """What a caller sees of the audit trail."""
    if is_system(caller):
        return Sight(caller.user_id, everything=True)
    if "manager" in closure(caller.roles) and caller.scope in ("project", "domain"):
        if caller.scope == "project":
            return Sight(caller.user_id, project_id=caller.project_id)
        return Sight(caller.user_id, domain_id=caller.domain_id)
    return Sight(caller.user_id)
