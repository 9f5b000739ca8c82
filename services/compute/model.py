"""Values and rules of compute: what may follow what, what a server needs, what it is called."""

import hashlib
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from mesh.errors import CloudError, invalid, wrong_status

GIB = 1024**3
# What each call needs a server to be.
STARTABLE = ("STOPPED",)
STOPPABLE = ("ACTIVE",)
SOFT_REBOOTABLE = ("ACTIVE",)
HARD_REBOOTABLE = ("ACTIVE", "STOPPED", "ERROR", "PAUSED", "SUSPENDED")
PAUSABLE = ("ACTIVE",)
UNPAUSABLE = ("PAUSED",)
SUSPENDABLE = ("ACTIVE",)
RESUMABLE = ("SUSPENDED",)
REBUILDABLE = ("ACTIVE", "STOPPED", "ERROR")
COPYABLE = ("ACTIVE", "STOPPED", "PAUSED", "SUSPENDED")
RESIZABLE = ("ACTIVE", "STOPPED")
RESIZED = ("VERIFY_RESIZE",)
ATTACHABLE = ("ACTIVE", "STOPPED")
# Statuses in which nothing has to be under way.
SETTLED = ("ACTIVE", "STOPPED", "PAUSED", "SUSPENDED", "VERIFY_RESIZE", "ERROR")
# Volumes and cards that a guest has room for (weft.node.v1.GuestSpec).
MAX_VOLUMES = 24
MAX_PORTS = 16
# The status that a settled server has by what its host says of its guest.
BY_GUEST_STATE = {
    "RUNNING": "ACTIVE",
    "PAUSED": "PAUSED",
    "SHUTOFF": "STOPPED",
    "CRASHED": "ERROR",
    "GONE": "ERROR",
}
# Statuses that a settled server keeps while its guest is so, whatever else that would mean.
_KEPT_BY_GUEST_STATE = {
    "SUSPENDED": ("SHUTOFF",),
    # Whatever the new guest does: the old one is there to go back to.
    "VERIFY_RESIZE": ("RUNNING", "PAUSED", "SHUTOFF", "CRASHED"),
}
_LOSSES = {
    "CRASHED": "The guest crashed{detail}. A hard reboot starts it again.",
    "GONE": "The guest is lost: its host no longer has it{detail}. Delete the server.",
}
_TRAIT = re.compile(r"trait:([A-Z0-9_]{1,255})")
_RESOURCE = re.compile(r"resources:([A-Z0-9_]{1,255})")
_STANDARD_CLASSES = frozenset({"VCPU", "MEMORY_MB", "DISK_GB"})


def in_transition(status: str) -> bool:
    """Whether the status is one that only a live operation may hold."""
    return status.endswith("ING")


class Busy(CloudError):
    """Another operation, one that leaves the status alone, is under way on the server."""

    def __init__(self, row: Any, allowed: tuple[str, ...]) -> None:
        super().__init__(
            "WRONG_STATUS",
            f"The server {row.id} is busy with operation {row.operation_id}: follow that, then call again.",
            resource_type="server",
            id=row.id,
            status=row.status,
            allowed=",".join(allowed),
        )
        self.operation_id = row.operation_id


def require(row: Any, allowed: tuple[str, ...]) -> None:
    """Raises WRONG_STATUS unless the server has one of these statuses, Busy when something is under way."""
    if row.status not in allowed:
        raise wrong_status("server", row.id, row.status, allowed)
    if row.operation_id:
        raise Busy(row, allowed)


def may_write(row: Any) -> bool:
    """Whether something may still come from the server's guest."""
    if row.status == "VERIFY_RESIZE":
        return row.guest_state != "SHUTOFF"
    return row.status not in ("STOPPED", "SUSPENDED", "ERROR", "DELETING")


def require_host(row: Any, allowed: tuple[str, ...]) -> None:
    """Raises WRONG_STATUS for a server that never got a guest."""
    if row.host_id is None:
        raise wrong_status("server", row.id, f"{row.status}, without a guest", allowed)


def require_root_disk(row: Any) -> None:
    """Raises UNSUPPORTED for a server that boots from a volume."""
    if not row.image_id:
        message = f"The server {row.id} boots from a volume: it has no disk of its own to work on."
        raise CloudError("UNSUPPORTED", message, feature="a root disk that is a volume")


def require_unlocked(row: Any, administrator: bool) -> None:
    """Raises LOCKED when the server is locked, unless an administrator asks."""
    if row.lock and not administrator:
        why = f" ({row.lock['reason']})" if row.lock["reason"] else ""
        raise CloudError(
            "LOCKED",
            f"The server {row.id} is locked{why}: unlock it to change it.",
            resource_type="server",
            id=row.id,
            locked_by=row.lock["holder"],
        )


def following(status: str, guest_state: str) -> str:
    """The status that a settled server has by what its host says of its guest."""
    kept = guest_state in _KEPT_BY_GUEST_STATE.get(status, ())
    return status if kept else BY_GUEST_STATE.get(guest_state, status)


def loss(guest_state: str, detail: str) -> str:
    """Why a server is in ERROR by what happened to its guest; empty when nothing did."""
    return _LOSSES.get(guest_state, "").format(detail=f" ({detail})" if detail else "")


def after_failure(previous: str, guest_state: str) -> str:
    """The status of a server whose operation failed: as its host sees the guest, else as it was before."""
    before = "ERROR" if in_transition(previous) else previous
    return before if before == "ERROR" else following(before, guest_state)


def hostname(name: str, server_id: str) -> str:
    """The server's name made lower case and fit for DNS (RFC 1123): letters, digits, inner hyphens, 63."""
    fit = re.sub(r"[^a-z0-9-]+", "-", name.lower()).strip("-")[:63].strip("-")
    return fit or f"server-{server_id}"


def host_fingerprint(project_id: str, host_id: str | None) -> str:
    """Opaque name of the host within the project: equal for servers on one host, tells nothing else."""
    return hashlib.sha224(f"{project_id}{host_id}".encode()).hexdigest() if host_id else ""


@dataclass(frozen=True, slots=True)
class Needs:
    """What placement must find: amounts by resource class, traits that a host must and must not have."""

    resources: dict[str, int]
    required_traits: list[str]
    forbidden_traits: list[str]

    def as_input(self) -> dict[str, Any]:
        """For a flow's input."""
        return asdict(self)


def needs(flavor: Mapping[str, Any], root_gib: int, image_properties: Mapping[str, str]) -> Needs:
    """What a server of this flavor needs; `root_gib` is its root disk on the host, 0 when it has none.

    Traits come from the flavor and from the image's properties: `trait:NAME` = required or forbidden.
    """
    disk = root_gib + flavor["ephemeral_gib"]
    resources = {"VCPU": flavor["vcpus"], "MEMORY_MB": flavor["memory_mib"], "DISK_GB": disk}
    resources |= {m[1]: int(v) for k, v in flavor["extra_specs"].items() if (m := _RESOURCE.fullmatch(k))}
    wishes = {**image_properties, **flavor["extra_specs"]}
    traits = {m[1]: wish for key, wish in wishes.items() if (m := _TRAIT.fullmatch(key))}
    required = sorted(name for name, wish in traits.items() if wish == "required")
    forbidden = sorted(name for name, wish in traits.items() if wish == "forbidden")
    return Needs({name: amount for name, amount in resources.items() if amount}, required, forbidden)


def check_extra_specs(specs: Mapping[str, str], path: str) -> None:
    """Raises INVALID_ARGUMENT for a wish that placement could not understand."""
    for key, value in specs.items():
        where = f"{path}[{key}]"
        if key.startswith("trait:") and not (_TRAIT.fullmatch(key) and value in ("required", "forbidden")):
            raise invalid(where, "must be trait:NAME = required or forbidden.")
        if key.startswith("resources:") and not (
            _RESOURCE.fullmatch(key) and re.fullmatch(r"\d{1,9}", value)
        ):
            raise invalid(where, "must be resources:CLASS = a whole amount.")
        if key.removeprefix("resources:") in _STANDARD_CLASSES and key.startswith("resources:"):
            raise invalid(where, "is given by the flavor's own fields.")


def gib(size_bytes: int) -> int:
    """Whole GiB that hold so many bytes."""
    return -(-size_bytes // GIB)
