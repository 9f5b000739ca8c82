"""The network service's long-running work."""

from services.network.flows.on_hosts import FLOWS

__all__ = ["FLOWS"]
