"""Ports and floating IPs: made, moved, deleted; and the router that these lead by."""

from contextlib import suppress
from typing import Any

from mesh import ids
from mesh.errors import CloudError
from tests.chaos.deeds.hands import Hands
from weft.network.v1 import floating_ip_service_pb2 as floating_ips
from weft.network.v1 import port_service_pb2 as ports
from weft.network.v1 import router_service_pb2 as routers
from weft.network.v1.floating_ip_service_pb2_grpc import FloatingIpServiceStub
from weft.network.v1.operation_service_pb2_grpc import OperationServiceStub
from weft.network.v1.port_service_pb2_grpc import PortServiceStub
from weft.network.v1.router_service_pb2_grpc import RouterServiceStub
from weft.operation.v1.operation_pb2 import CancelOperationRequest


class AddressDeeds(Hands):
    """What is done with ports and floating IPs."""

    @property
    def ports(self) -> Any:
        """The network's ports."""
        return self.stub(PortServiceStub)

    @property
    def floating_ips(self) -> Any:
        """The network's floating IPs."""
        return self.stub(FloatingIpServiceStub)

    async def create_port(self) -> None:
        """A port that no server has."""
        if thing := self.new("port"):
            request = ports.CreatePortRequest(
                name=thing.name, network_id=self.place.network_id, request_id=ids.new()
            )
            await self.make(thing, self.ports.CreatePort, request)

    async def delete_port(self) -> None:
        """One of those; what led to it leads nowhere."""
        if not (free := self.free_ports()):
            return
        thing = self.rng.choice(free)
        leading = [t for t in self.things if t.kind == "floating_ip" and t.holder == thing.id]
        for floating_ip in leading:
            floating_ip.unsure()
        await self.remove(thing, self.ports.DeletePort, ports.DeletePortRequest)
        for floating_ip in leading:
            floating_ip.holder = ""

    async def create_floating_ip(self) -> None:
        """An address outside that leads nowhere yet."""
        if thing := self.new("floating_ip"):
            request = floating_ips.CreateFloatingIpRequest(
                network_id=self.place.external_id, description=thing.name, request_id=ids.new()
            )
            await self.make(thing, self.floating_ips.CreateFloatingIp, request)

    async def move_floating_ip(self) -> None:
        """Let an address lead to a port of ours, or nowhere."""
        if not (thing := self.pick("floating_ip")):
            return
        port = self.pick("port") if self.rng.random() < 0.7 else None
        request = floating_ips.UpdateFloatingIpRequest(id=thing.id, request_id=ids.new())
        request.floating_ip.port_id = port.id if port else ""
        request.update_mask.paths.append("port_id")
        before = thing.holder
        thing.unsure()
        try:
            moved = await self.mutate(self.floating_ips.UpdateFloatingIp, request)
        except CloudError:
            thing.holder = before
            raise
        if await self._reached_hosts("UpdateFloatingIp", moved):
            thing.holder = port.id if port else ""

    async def reroute(self) -> None:
        """Another route by the router, which some think better of at once."""
        listed = await self.caller.once(
            self.stub(RouterServiceStub).ListRouters, routers.ListRoutersRequest()
        )
        request = routers.UpdateRouterRequest(id=listed.routers[0].id, request_id=ids.new())
        hop = f"10.0.0.{self.rng.randrange(3, 250)}"
        request.router.routes.add(destination="198.51.100.0/24", next_hop=hop)
        changed = await self.mutate(self.stub(RouterServiceStub).UpdateRouter, request)
        if changed.operation_id and self.rng.random() < 0.3:
            cancel = CancelOperationRequest(id=changed.operation_id)
            with suppress(CloudError):  # it may be over already
                await self.caller.once(self.stub(OperationServiceStub).CancelOperation, cancel)
        await self._reached_hosts("UpdateRouter", changed)

    async def _reached_hosts(self, what: str, changed: Any) -> bool:
        """Whether a change stands, which it does when it concerned no host."""
        if not changed.operation_id:
            return True
        return await self.ended(self.stub(OperationServiceStub), what, changed.operation_id) == "SUCCEEDED"

    async def delete_floating_ip(self) -> None:
        """An address, wherever it leads."""
        if thing := self.pick_to_delete("floating_ip"):
            request = floating_ips.DeleteFloatingIpRequest
            await self.remove(thing, self.floating_ips.DeleteFloatingIp, request)
