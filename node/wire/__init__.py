"""A host's network: the kernel kept as the network service wants it, DHCP, metadata."""

from node.wire.simulated import SimulatedWire
from node.wire.wire import Wire

__all__ = ["SimulatedWire", "Wire"]
