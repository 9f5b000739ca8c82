"""The host agents: how each is called, and what it means when one does not answer."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from mesh.channel import Peers
from mesh.database import Database
from mesh.errors import CloudError
from services.compute.store import hosts
from weft.node.v1.guest_service_pb2_grpc import GuestServiceStub
from weft.node.v1.image_cache_service_pb2_grpc import ImageCacheServiceStub


class Nodes:
    """Stubs of host agents by host id, at the address that each registered last."""

    def __init__(self, peers: Peers, database: Database) -> None:
        self._peers = peers
        self._database = database

    async def guests(self, host_id: str) -> Any:
        """The host's GuestService. Raises HOST_UNAVAILABLE when there is no such host."""
        return await self._stub(GuestServiceStub, host_id)

    async def images(self, host_id: str) -> Any:
        """The host's ImageCacheService. Raises HOST_UNAVAILABLE when there is no such host."""
        return await self._stub(ImageCacheServiceStub, host_id)

    async def written_off(self, host_id: str) -> bool:
        """Whether an operator has said that the host does not come back: it is DOWN and disabled."""
        host = await self._database.peek(hosts.find, host_id)
        return host is not None and host.status == "DOWN" and host.disabled

    async def _stub(self, stub_class: Any, host_id: str) -> Any:
        host = await self._database.peek(hosts.find, host_id)
        if host is None:
            raise CloudError("HOST_UNAVAILABLE", f"There is no host {host_id}.", host_id=host_id)
        return self._peers.node_stub(stub_class, host_id, host.address)


@contextmanager
def reaching(host_id: str) -> Iterator[None]:
    """Within the block a host agent is called: one that does not answer is HOST_UNAVAILABLE."""
    try:
        yield
    except CloudError as error:
        if error.reason != "UNAVAILABLE" or "service" in error.metadata:  # the agent's own word on another
            raise
        message = f"The host {host_id} does not answer: see whether it and its agent run."
        raise CloudError("HOST_UNAVAILABLE", message, host_id=host_id) from error
