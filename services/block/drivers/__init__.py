"""How volumes are kept: one driver a backend."""

from collections.abc import Mapping

from mesh.channel import Peers
from services.block.drivers.driver import Driver
from services.block.drivers.file import FileDriver

__all__ = ["Driver", "drivers"]


def drivers(peers: Peers) -> Mapping[str, Driver]:
    """The drivers of this deployment, by the backend of the pools that they serve."""
    return {"file": FileDriver(peers)}
