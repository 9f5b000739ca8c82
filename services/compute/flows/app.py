"""What every step of compute's flows finds as `run.app`."""

from dataclasses import dataclass

from mesh.channel import Peers
from mesh.database import Database
from services.compute.nodes import Nodes

# Seconds that a cancellation leaves to another service: it answers sooner, or not at all.
GRACE = 10.0


@dataclass(frozen=True, slots=True)
class App:
    """The database, the other services, the host agents."""

    database: Database
    peers: Peers
    nodes: Nodes
