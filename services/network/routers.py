"""Which host a router goes out on.

A router with a way out lives on one host alone, its egress host; all others reach its interfaces there over
VXLAN. A router without one lives on every host that has ports behind it.
"""

from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Candidate:
    """A host that is there and connected to the external network.

    `ports` is how many ports behind the router it has, `routers` how many routers go out on it already.
    """

    host_id: str
    ports: int
    routers: int


def choose_egress(candidates: Iterable[Candidate]) -> str:
    """The host with most ports behind the router, then the one with least routers; "" when there is none."""
    best = min(candidates, key=lambda host: (-host.ports, host.routers, host.host_id), default=None)
    return best.host_id if best else ""
