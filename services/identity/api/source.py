"""Where a call comes from, for counting failed logins."""

from typing import Any

from mesh import peer
from mesh.caller import current


def source(context: Any) -> str:
    """The address of the client, as the gateway saw it."""
    return peer.address(context, dict(context.invocation_metadata() or ()), current())
