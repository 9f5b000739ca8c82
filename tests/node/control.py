"""As much of the control plane as a host sees: real servers with mutual TLS in front of fakes in memory."""

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any

from google.protobuf.duration_pb2 import Duration
from google.protobuf.empty_pb2 import Empty

from mesh.certificates import Authority, Identity
from mesh.channel import Peers
from mesh.errors import CloudError, not_found, wrong_status
from mesh.server import Part, Service, running
from mesh.settings import Settings
from tests.node.images import ImageService
from weft.block.v1 import pool_service_pb2, pool_service_pb2_grpc
from weft.block.v1.resources_pb2 import Pool
from weft.compute.v1 import host_service_pb2, host_service_pb2_grpc
from weft.compute.v1.resources_pb2 import Host
from weft.image.v1 import transfer_service_pb2, transfer_service_pb2_grpc
from weft.network.v1 import host_service_pb2 as network_pb
from weft.network.v1 import host_service_pb2_grpc as network_grpc
from weft.network.v1.host_state_pb2 import HostState


class Hosts(host_service_pb2_grpc.HostServiceServicer):
    """Compute: hosts by id with their epochs, and what each guest was last said to do."""

    def __init__(self) -> None:
        self.hosts: dict[str, Host] = {}
        self.epochs: dict[str, int] = defaultdict(int)
        self.beats = 0
        self.guests: dict[str, host_service_pb2.GuestEvent] = {}
        self.complete: list[set[str]] = []
        self.refusal, self.refused = "", 0
        self.said: list[tuple[int, str]] = []

    async def RegisterHost(self, request: host_service_pb2.RegisterHostRequest, context: Any) -> Host:
        if self.refusal:
            self.refused += 1
            raise CloudError(
                "WRONG_STATUS",
                self.refusal,
                resource_type="host",
                id=request.host.id,
                status="-",
                allowed="-",
            )
        self.said.append((request.last_epoch, request.place))
        self.epochs[request.host.id] += 1
        request.host.epoch = self.epochs[request.host.id]
        self.hosts[request.host.id] = request.host
        return request.host

    async def Heartbeat(
        self, request: host_service_pb2.HeartbeatRequest, context: Any
    ) -> host_service_pb2.HeartbeatResponse:
        if request.id not in self.hosts:
            raise not_found("host", request.id)
        if request.epoch < self.epochs[request.id]:
            raise wrong_status("host", request.id, "superseded", ["current"])
        self.beats += 1
        interval = Duration()
        interval.FromTimedelta(timedelta(milliseconds=100))
        return host_service_pb2.HeartbeatResponse(interval=interval)

    async def ReportGuestEvents(
        self, request: host_service_pb2.ReportGuestEventsRequest, context: Any
    ) -> Empty:
        self.guests.update({event.server_id: event for event in request.events})
        if request.complete:
            self.complete.append({event.server_id for event in request.events})
        return Empty()

    def state(self, server_id: str) -> int:
        """What the guest was last said to do; 0 when nothing was said."""
        event = self.guests.get(server_id)
        return event.state if event else 0


class Pools(pool_service_pb2_grpc.PoolServiceServicer):
    """Block: pools by host."""

    def __init__(self) -> None:
        self.pools: dict[str, Pool] = {}

    async def RegisterPool(self, request: pool_service_pb2.RegisterPoolRequest, context: Any) -> Pool:
        self.pools[request.pool.host_id] = request.pool
        return request.pool


class Networks(network_grpc.HostNetworkServiceServicer):
    """Network: sends `state` to whoever watches, each time that it changes."""

    def __init__(self) -> None:
        self.state = HostState(complete=True, revision=1)
        self.changed = asyncio.Event()
        self.ending = False
        self.wired: dict[str, int] = {}
        self.watched = 0

    def change(self, state: HostState) -> None:
        """Have another state."""
        self.state = state
        self.changed.set()

    async def WatchHostState(
        self, request: network_pb.WatchHostStateRequest, context: Any
    ) -> AsyncIterator[HostState]:
        self.watched += 1
        while not self.ending:
            self.changed.clear()
            yield self.state
            await self.changed.wait()

    def end(self, ending: bool) -> None:
        """Whether streams end: a server that drains would wait for them."""
        self.ending = ending
        self.changed.set()

    async def ReportHostState(self, request: network_pb.ReportHostStateRequest, context: Any) -> Empty:
        self.wired.update({report.port_id: report.state for report in request.ports})
        return Empty()


class Transfers(transfer_service_pb2_grpc.TransferServiceServicer):
    """Image: the contents of an ImageService."""

    def __init__(self, images: ImageService) -> None:
        self._images = images

    async def FetchImage(
        self, request: transfer_service_pb2.FetchImageRequest, context: Any
    ) -> AsyncIterator[transfer_service_pb2.FetchImageResponse]:
        async for chunk in self._images.FetchImage(request, timeout=60):
            yield chunk

    async def StoreImage(
        self, request_iterator: AsyncIterator[transfer_service_pb2.StoreImageRequest], context: Any
    ) -> transfer_service_pb2.StoreImageResponse:
        return await self._images.StoreImage(request_iterator, timeout=60)


class Control:
    """The fakes, and how control calls a host."""

    def __init__(self, settings: Settings, images: ImageService) -> None:
        self.settings = settings
        self.compute, self.block, self.network = Hosts(), Pools(), Networks()
        self.images = Transfers(images)
        self.peers: Peers

    def stub(self, stub_class: type, host_id: str) -> Any:
        """A stub of the host's agent, called as compute."""
        return self.peers.node_stub(stub_class, host_id, self.settings.node.address)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """It answers within the block."""
        authority = Authority.open_or_create(self.settings.state / "pki", cloud=self.settings.cloud.name)
        self.peers = Peers(self.settings, authority.issue(Identity.service("compute")))
        servicers = {
            "compute": (host_service_pb2_grpc.add_HostServiceServicer_to_server, self.compute),
            "block": (pool_service_pb2_grpc.add_PoolServiceServicer_to_server, self.block),
            "network": (network_grpc.add_HostNetworkServiceServicer_to_server, self.network),
            "image": (transfer_service_pb2_grpc.add_TransferServiceServicer_to_server, self.images),
        }
        parts = [Part(name, lambda _, s=s: Service([s], verifier=Nobody())) for name, s in servicers.items()]
        self.network.end(False)
        async with running(self.settings, parts):
            yield
            self.network.end(True)
        await self.peers.close()


class Nobody:
    """A verifier that believes no token: hosts are known by their certificates."""

    async def verify(self, token: str) -> Any:
        raise AssertionError("no host sends a token")

    async def standing(self, host: Any) -> None:
        """Every host may."""
