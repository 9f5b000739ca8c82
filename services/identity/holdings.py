"""What a project has in the other services: kinds of things, each with the calls that list and delete it."""

import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from types import ModuleType
from typing import Any

from mesh import caller, ids
from mesh.caller import Caller
from mesh.channel import Peers
from mesh.errors import CloudError
from mesh.lists import walk
from weft.block.v1 import operation_service_pb2_grpc as block_operations
from weft.block.v1 import snapshot_service_pb2 as snapshots
from weft.block.v1 import volume_service_pb2 as volumes
from weft.block.v1 import volume_transfer_service_pb2 as volume_transfers
from weft.block.v1.snapshot_service_pb2_grpc import SnapshotServiceStub
from weft.block.v1.volume_service_pb2_grpc import VolumeServiceStub
from weft.block.v1.volume_transfer_service_pb2_grpc import VolumeTransferServiceStub
from weft.compute.v1 import operation_service_pb2_grpc as compute_operations
from weft.compute.v1 import server_group_service_pb2 as server_groups
from weft.compute.v1 import server_service_pb2 as servers
from weft.compute.v1.server_group_service_pb2_grpc import ServerGroupServiceStub
from weft.compute.v1.server_service_pb2_grpc import ServerServiceStub
from weft.image.v1 import image_service_pb2 as images
from weft.image.v1.image_service_pb2_grpc import ImageServiceStub
from weft.network.v1 import floating_ip_service_pb2 as floating_ips
from weft.network.v1 import network_service_pb2 as networks
from weft.network.v1 import port_service_pb2 as ports
from weft.network.v1 import router_service_pb2 as routers
from weft.network.v1 import security_group_service_pb2 as security_groups
from weft.network.v1 import subnet_service_pb2 as subnets
from weft.network.v1.floating_ip_service_pb2_grpc import FloatingIpServiceStub
from weft.network.v1.network_service_pb2_grpc import NetworkServiceStub
from weft.network.v1.port_service_pb2_grpc import PortServiceStub
from weft.network.v1.router_service_pb2_grpc import RouterServiceStub
from weft.network.v1.security_group_service_pb2_grpc import SecurityGroupServiceStub
from weft.network.v1.subnet_service_pb2_grpc import SubnetServiceStub
from weft.operation.v1.operation_pb2 import OPERATION_STATE_SUCCEEDED, Operation, WatchOperationRequest

# Ports whose owner begins so are a router's, a floating IP's or DHCP's, and go with those.
OF_NETWORK = "network:"


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of things: its name in its RPCs, their messages and their stub.

    `operations`: the stub of the operations that make and delete it, where it takes any. `asked`: what to
    list it with, once each. `waits`: what is under way on it comes to its end before it is deleted; on others
    that ends with them. `by_service`: it is listed and deleted on identity's own account. The network
    makes a default security group for a project that asks for its groups, and lets no project delete it.
    """

    noun: str
    verbs: ModuleType
    stub: Callable[[Any], Any]
    operations: Callable[[Any], Any] | None = None
    asked: tuple[Mapping[str, Any], ...] = ({},)
    by_service: bool = False
    waits: bool = False

    @property
    def service(self) -> str:
        """Whose it is."""
        return str(self.verbs.DESCRIPTOR.package.split(".")[1])

    @property
    def type(self) -> str:
        """Such as floating_ip."""
        return re.sub(r"(?<=[a-z])(?=[A-Z])", "_", self.noun).lower()


# In the order in which they can go: what uses another first.
KINDS = (
    Kind("Server", servers, ServerServiceStub, compute_operations.OperationServiceStub),
    Kind("ServerGroup", server_groups, ServerGroupServiceStub),
    Kind("VolumeTransfer", volume_transfers, VolumeTransferServiceStub),
    Kind("Snapshot", snapshots, SnapshotServiceStub, block_operations.OperationServiceStub, waits=True),
    Kind("Volume", volumes, VolumeServiceStub, block_operations.OperationServiceStub, waits=True),
    Kind("Image", images, ImageServiceStub, asked=({}, {"hidden": True})),
    Kind("FloatingIp", floating_ips, FloatingIpServiceStub),
    Kind("Router", routers, RouterServiceStub),
    Kind("Port", ports, PortServiceStub),
    Kind("Subnet", subnets, SubnetServiceStub),
    Kind("Network", networks, NetworkServiceStub),
    Kind("SecurityGroup", security_groups, SecurityGroupServiceStub, by_service=True),
)


@dataclass(frozen=True, slots=True)
class Estate:
    """What one project has, as `acting` who purges it sees it. Its calls raise UNAVAILABLE while a service is
    away.
    """

    peers: Peers
    project_id: str
    acting: Caller

    async def listed(self, kind: Kind) -> list[Any]:
        """All of a kind that is the project's own."""
        found: list[Any] = []
        with self._calling(kind) as stub:
            for asked in kind.asked:
                found += await self._pages(kind, stub, asked)
        return [each for each in found if each.project_id == self.project_id and not _of_network(each)]

    async def delete(self, kind: Kind, thing: Any) -> None:
        """Have it deleted, and wait until it is."""
        with self._calling(kind) as stub:
            under_way = getattr(thing, "operation_id", "")
            if under_way and kind.waits:
                await self._end_of(kind, under_way)
            if kind.noun == "Router":
                await _clear(stub, thing)
            request = getattr(kind.verbs, f"Delete{kind.noun}Request")
            asked = request(id=thing.id, allow_missing=True, request_id=ids.new())
            answer = await getattr(stub, f"Delete{kind.noun}")(asked)
            if kind.operations is not None and answer.operation_id:
                _require_success(await self._end_of(kind, answer.operation_id))

    async def _pages(self, kind: Kind, stub: Any, asked: Mapping[str, Any]) -> list[Any]:
        own = {"project_id": self.project_id} if kind.by_service else {}
        request = getattr(kind.verbs, f"List{kind.noun}sRequest")(**asked, **own)
        return [each async for each in walk(getattr(stub, f"List{kind.noun}s"), request, f"{kind.type}s")]

    async def _end_of(self, kind: Kind, operation_id: str) -> Operation:
        """An operation once it has ended."""
        stub = self.peers.stub(kind.operations, service=kind.service)
        following = stub.WatchOperation(WatchOperationRequest(id=operation_id))
        seen = [operation async for operation in following]
        if not seen:
            raise CloudError(
                "UNAVAILABLE", f"The {kind.service} service does not answer.", service=kind.service
            )
        return seen[-1]

    @contextmanager
    def _calling(self, kind: Kind) -> Iterator[Any]:
        """The stub of a kind, called in the project, with the roles of who purges it."""
        whom = replace(self.acting, scope="project", project_id=self.project_id, domain_id="", rules=None)
        with caller.acting_as(caller.ANONYMOUS if kind.by_service else whom):
            yield self.peers.stub(kind.stub, service=kind.service)


def _of_network(thing: Any) -> bool:
    return getattr(thing, "device_owner", "").startswith(OF_NETWORK)


async def _clear(stub: Any, router: Any) -> None:
    """A router goes without interfaces only."""
    for interface in router.interfaces:
        request = routers.RemoveRouterInterfaceRequest(id=router.id, port_id=interface.port_id)
        request.request_id = ids.new()
        await stub.RemoveRouterInterface(request)


def _require_success(operation: Operation) -> None:
    """Raises what the operation failed with."""
    if operation.state == OPERATION_STATE_SUCCEEDED:
        return
    error = CloudError(operation.error.reason or "OPERATION_FAILED", operation.error.message)
    error.metadata.update(operation.error.metadata)
    raise error
