"""What a server does, in Nova's four words for it."""

from functools import cache
from typing import NamedTuple

from weft.compute.v1.resources_pb2 import ServerStatus


class Said(NamedTuple):
    """Status, state of the machine, what is being done, and power: 0 unknown, 1 on, 3 paused, 4 off, 7
    suspended."""

    status: str
    vm_state: str
    task: str | None
    power: int


# A status of ours that ends in ING is one of Nova's tasks, on a server that is still what it was.
_SAID = {
    "BUILDING": Said("BUILD", "building", "spawning", 0),
    "ACTIVE": Said("ACTIVE", "active", None, 1),
    "STOPPED": Said("SHUTOFF", "stopped", None, 4),
    "STARTING": Said("SHUTOFF", "stopped", "powering-on", 4),
    "STOPPING": Said("ACTIVE", "active", "powering-off", 1),
    "REBOOTING": Said("REBOOT", "active", "rebooting", 1),
    "ERROR": Said("ERROR", "error", None, 0),
    "DELETING": Said("ACTIVE", "active", "deleting", 0),
    "PAUSED": Said("PAUSED", "paused", None, 3),
    "PAUSING": Said("ACTIVE", "active", "pausing", 1),
    "UNPAUSING": Said("PAUSED", "paused", "unpausing", 3),
    "SUSPENDED": Said("SUSPENDED", "suspended", None, 7),
    "SUSPENDING": Said("ACTIVE", "active", "suspending", 1),
    "RESUMING": Said("SUSPENDED", "suspended", "resuming", 7),
    "REBUILDING": Said("REBUILD", "active", "rebuilding", 1),
    "RESIZING": Said("RESIZE", "active", "resize_prep", 1),
    "VERIFY_RESIZE": Said("VERIFY_RESIZE", "resized", None, 1),
    "CONFIRMING": Said("VERIFY_RESIZE", "resized", "deleting", 1),
    "REVERTING": Said("REVERT_RESIZE", "resized", "resize_reverting", 1),
}


@cache
def said(number: int) -> Said:
    """A status of the contract in Nova's words."""
    name = ServerStatus.Name(number).removeprefix("SERVER_STATUS_")
    return _SAID.get(name, Said("UNKNOWN", "error", None, 0))


def numbers(status: str) -> list[int]:
    """The statuses of the contract that Nova shows as this one."""
    wanted = status.upper()
    return [
        number
        for name, number in ServerStatus.items()
        if (known := _SAID.get(name.removeprefix("SERVER_STATUS_"))) and known.status == wanted
    ]
