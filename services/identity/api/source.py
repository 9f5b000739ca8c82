"""Where a call comes from, for counting failed logins."""

from typing import Any


def source(context: Any) -> str:
    """The address of the client.

    The gateway appends the address that it saw to x-forwarded-for, and only it, services and nodes get
    through to here: what clients put before that counts for nothing.
    """
    forwarded = dict(context.invocation_metadata() or ()).get("x-forwarded-for", "")
    if forwarded:
        return str(forwarded).rsplit(",", 1)[-1].strip()[:255]
    kind, _, address = context.peer().partition(":")
    return kind if kind == "unix" else address.rpartition(":")[0][:255]
