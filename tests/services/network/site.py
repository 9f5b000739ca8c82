"""A project with a router, and a host that has all of it and says so; how long it is given is tried."""

from collections.abc import AsyncIterator, Awaitable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from tests.services.network.conftest import Api, Cloud, HostAgent
from weft.network.v1 import resources_pb2 as pb
from weft.operation.v1 import operation_pb2


def state(operation: Any) -> str:
    """How far an operation is."""
    return operation_pb2.OperationState.Name(operation.state).removeprefix("OPERATION_STATE_")


@dataclass
class Site:
    """A project with a router between two networks, a port, a floating IP, and a host that has all of it."""

    weft: Cloud
    mine: Api
    host: HostAgent
    router: Any
    subnet: Any
    other: Any
    external: Any
    port: Any
    floating_ip: Any

    async def router_now(self) -> Any:
        """As its owner sees it, but for what each change changes."""
        return self._content(await self.mine.GetRouter(id=self.router.id))

    async def floating_ip_now(self) -> Any:
        """The same of the floating IP."""
        return self._content(await self.mine.GetFloatingIp(id=self.floating_ip.id))

    @staticmethod
    def _content(resource: Any) -> Any:
        for name in ("revision", "updated_at", "operation_id"):
            resource.ClearField(name)
        return resource

    async def lead_out(self) -> Any:
        """Give the router its way out, and let the floating IP lead to the port."""
        gateway = pb.ExternalGateway(network_id=self.external.id)
        await self.mine.SetRouterGateway(id=self.router.id, gateway=gateway)
        changed = await self.lead()
        if changed.operation_id:
            assert state(await self.mine.ended(changed.operation_id)) == "SUCCEEDED"

    async def toggle(self) -> Any:
        """Connect the router with the other subnet, or disconnect it."""
        now = await self.mine.GetRouter(id=self.router.id)
        connected = any(each.subnet_id == self.other.id for each in now.interfaces)
        change = self.mine.RemoveRouterInterface if connected else self.mine.AddRouterInterface
        return await change(id=self.router.id, subnet_id=self.other.id)

    def lead(self, port_id: str | None = None) -> Awaitable[Any]:
        """Let the floating IP lead to a port, "" for nowhere."""
        wanted = pb.FloatingIp(port_id=self.port.id if port_id is None else port_id)
        mask = {"paths": ["port_id"]}
        return self.mine.UpdateFloatingIp(id=self.floating_ip.id, floating_ip=wanted, update_mask=mask)


@asynccontextmanager
async def site(weft: Cloud) -> AsyncIterator[Site]:
    """One, ready."""
    mine, external = weft.project(), await weft.external_network()
    cable = (await weft.system().GetNetwork(id=external.id)).physical_network
    network, subnet = await mine.network_with_subnet()
    _, other = await mine.network_with_subnet("10.1.0.0/24")
    async with weft.host("192.0.2.1", (cable,), confirms=True) as host:
        port = await mine.bound_port(weft.compute(), network.id, host.id)
        router = await mine.CreateRouter(name="r")
        floating_ip = await mine.CreateFloatingIp(network_id=external.id)
        assert router.operation_id == floating_ip.operation_id == ""
        router = await mine.AddRouterInterface(id=router.id, subnet_id=subnet.id)
        assert state(await mine.ended(router.operation_id)) == "SUCCEEDED"
        yield Site(weft, mine, host, router, subnet, other, external, port, floating_ip)


async def cancelled(it: Site, operation_id: str) -> Any:
    """The end of an operation that is cancelled, as it waits for a host."""
    await it.mine.CancelOperation(id=operation_id)
    ended = await it.mine.ended(operation_id)
    assert state(ended) == "CANCELLED"
    return ended
