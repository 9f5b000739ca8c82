"""A running network service, on SQLite or PostgreSQL, and the people, services and hosts that call it."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import msgspec
import pytest
from sqlalchemy import create_engine, text

from mesh import ids
from mesh.certificates import Authority
from mesh.channel import Client
from mesh.database import Database
from mesh.errors import CloudError
from mesh.settings import DatabaseSection, Settings
from services.network import __main__ as main
from services.network.__main__ import build
from services.network.tables import ports
from tests.services.harness import House, house, person
from tests.services.versions import guard
from weft.network.v1 import (
    floating_ip_service_pb2,
    floating_ip_service_pb2_grpc,
    host_service_pb2,
    host_service_pb2_grpc,
    host_state_pb2,
    network_service_pb2,
    network_service_pb2_grpc,
    operation_service_pb2_grpc,
    port_service_pb2,
    port_service_pb2_grpc,
    resources_pb2,
    router_service_pb2,
    router_service_pb2_grpc,
    security_group_service_pb2,
    security_group_service_pb2_grpc,
    subnet_service_pb2,
    subnet_service_pb2_grpc,
)
from weft.operation.v1 import operation_pb2

_STUBS = (
    (network_service_pb2, network_service_pb2_grpc.NetworkServiceStub),
    (subnet_service_pb2, subnet_service_pb2_grpc.SubnetServiceStub),
    (port_service_pb2, port_service_pb2_grpc.PortServiceStub),
    (router_service_pb2, router_service_pb2_grpc.RouterServiceStub),
    (floating_ip_service_pb2, floating_ip_service_pb2_grpc.FloatingIpServiceStub),
    (security_group_service_pb2, security_group_service_pb2_grpc.SecurityGroupServiceStub),
    (host_service_pb2, host_service_pb2_grpc.HostNetworkServiceStub),
    (operation_pb2, operation_service_pb2_grpc.OperationServiceStub),
)


class Api:
    """Every RPC of the package as a function of its request's fields."""

    def __init__(self, client: Client, project_id: str = "") -> None:
        self.project_id = project_id
        self._stubs = [(requests, client.stub(stub)) for requests, stub in _STUBS]

    def __getattr__(self, method: str) -> Any:
        for requests, stub in self._stubs:
            if hasattr(stub, method):
                request = getattr(requests, f"{method}Request")
                return lambda **fields: getattr(stub, method)(request(**fields))
        raise AttributeError(method)

    async def network_with_subnet(self, cidr: str = "10.0.0.0/24", **network: Any) -> tuple[Any, Any]:
        """A network and its first subnet."""
        made = await self.CreateNetwork(**{"name": "net", **network})
        return made, await self.CreateSubnet(network_id=made.id, cidr=cidr)

    async def ended(self, operation_id: str) -> Any:
        """An operation once it has ended."""
        async with asyncio.timeout(60):
            async for operation in self.WatchOperation(id=operation_id):
                last = operation
        return last

    async def bound_port(self, services: "Api", network_id: str, host_id: str, **port: Any) -> Any:
        """A port bound to a host by compute."""
        made = await self.CreatePort(network_id=network_id, **port)
        return await services.BindPort(id=made.id, host_id=host_id, device_id=ids.new())


class HostAgent:
    """A host: what it was sent, put together as a real one would. One that `confirms` says what it has, of
    itself only while it is `willing`.
    """

    def __init__(
        self, api: Api, host_id: str, vtep: str, physical_networks: tuple[str, ...], confirms: bool = False
    ) -> None:
        self.api, self.id, self.vtep = api, host_id, vtep
        self.physical_networks, self.confirms = physical_networks, confirms
        self.willing, self.covers = True, 0
        self.messages: list[host_state_pb2.HostState] = []
        self.networks: dict[str, Any] = {}
        self.ports: dict[str, Any] = {}
        self.routers: dict[str, Any] = {}
        self.groups: dict[str, Any] = {}
        self._news = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> "HostAgent":
        """Begin to watch, and wait for the whole state."""
        self._task = asyncio.create_task(self._watch())
        await self.until(lambda: bool(self.messages))
        return self

    async def stop(self) -> None:
        """Break the stream."""
        if self._task:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def until(self, holds: Any, seconds: float = 60) -> None:
        """Wait until what was sent makes `holds()` true."""
        async with asyncio.timeout(seconds):
            while not holds():
                self._news.clear()
                if self._task and self._task.done():
                    self._task.result()
                await self._news.wait()

    async def report(self, port: Any, state: str = "WIRED", revision: int | None = None) -> None:
        """Say how far a port is."""
        given = host_state_pb2.PortReport(
            port_id=port.id,
            state=host_state_pb2.WireState.Value(f"WIRE_STATE_{state}"),
            revision=self.ports[port.id].revision if revision is None else revision,
            detail="no such bridge" if state == "FAILED" else "",
        )
        await self.api.ReportHostState(host_id=self.id, ports=[given])

    async def confirm(self, trouble: dict[str, str] | None = None) -> None:
        """Say that all it was told is there, but what it has trouble with."""
        told = [host_state_pb2.HostTrouble(resource_id=id, detail=why) for id, why in (trouble or {}).items()]
        await self.api.ReportHostState(host_id=self.id, confirmed_revision=self.covers, trouble=told)

    async def _watch(self) -> None:
        stream = self.api.WatchHostState(
            host_id=self.id,
            vtep_address=self.vtep,
            physical_networks=self.physical_networks,
            confirms=self.confirms,
        )
        async for state in stream:
            self._take(state)
            self._news.set()
            if state.covers and self.willing:
                await self.confirm()

    def _take(self, state: host_state_pb2.HostState) -> None:
        parts = (
            (self.networks, state.networks, state.removed_network_ids),
            (self.ports, state.ports, state.removed_port_ids),
            (self.routers, state.routers, state.removed_router_ids),
            (self.groups, state.security_groups, state.removed_security_group_ids),
        )
        for have, new, gone in parts:
            if state.complete:
                have.clear()
            have.update({item.id: item for item in new})
            for id in gone:
                del have[id]
        self.messages.append(state)
        self.covers = state.covers or self.covers


async def refused(call: Awaitable[Any], reason: str) -> CloudError:
    """The error that a call answers, which has this reason."""
    with pytest.raises(CloudError) as caught:
        await call
    assert caught.value.reason == reason, caught.value
    return caught.value


@dataclass
class Cloud:
    """A network service and those who call it."""

    house: House

    def project(self, *roles: str) -> Api:
        """A member of a project of its own."""
        project_id = ids.new()
        caller = person(project_id, *(roles or ("member",)))
        return Api(self.house.user("network", caller), project_id)

    def system(self) -> Api:
        """The administrator of the whole system."""
        return Api(self.house.user("network", person("", "admin", scope="system")))

    def compute(self) -> Api:
        """Compute, on its own account."""
        return Api(self.house.service("network", "compute"))

    @asynccontextmanager
    async def host(
        self,
        vtep: str = "",
        physical_networks: tuple[str, ...] = (),
        host_id: str = "",
        confirms: bool = False,
    ) -> AsyncIterator[HostAgent]:
        """A host that watches within the block."""
        host_id = host_id or ids.new()
        api = Api(self.house.node("network", host_id))
        agent = HostAgent(api, host_id, vtep, physical_networks, confirms)
        try:
            yield await agent.start()
        finally:
            await agent.stop()

    async def external_network(self, cidr: str = "203.0.113.0/24", owner: Api | None = None) -> Any:
        """An external network that everybody may go out by, of a new project unless an owner is named."""
        network, _ = await (owner or self.project("admin")).network_with_subnet(
            cidr,
            type=resources_pb2.NETWORK_TYPE_FLAT,
            physical_network=f"external-{ids.new()[:8]}",
            external=True,
        )
        return network


@pytest.fixture
async def weft(cloud: Settings, authority: Authority) -> AsyncIterator[Cloud]:
    """A network service on SQLite."""
    async with house(cloud, authority, {"network": build}) as running:
        await running.runtimes["network"].database.write(guard, ports)
        yield Cloud(running)


@pytest.fixture
async def replicas(cloud: Settings, authority: Authority) -> AsyncIterator[tuple[Cloud, Cloud]]:
    """Two network services on one database."""
    builds = {"network": build}
    async with (
        house(cloud, authority, builds, run="1") as first,
        house(cloud, authority, builds, run="2") as second,
    ):
        yield Cloud(first), Cloud(second)


@pytest.fixture
async def weft_on_both(cloud: Settings, authority: Authority, database_url: str) -> AsyncIterator[Cloud]:
    """A network service, once on SQLite and once on PostgreSQL."""
    # On PostgreSQL the service keeps to the schema of its own name: the next test begins with none.
    url = database_url.partition("&options=")[0]
    settings = msgspec.structs.replace(cloud, database=DatabaseSection(url=url))
    async with house(settings, authority, {"network": build}) as running:
        yield Cloud(running)
    if not url.startswith("sqlite"):
        engine = create_engine(url)
        with engine.begin() as connection:
            connection.execute(text("DROP SCHEMA network CASCADE"))
        engine.dispose()


@pytest.fixture
def mine(weft: Cloud) -> Api:
    """A member of one project."""
    return weft.project()


@pytest.fixture
def theirs(weft: Cloud) -> Api:
    """A member of another project."""
    return weft.project()


@pytest.fixture
def compute(weft: Cloud) -> Api:
    """Compute, on its own account."""
    return weft.compute()


@dataclass
class Tried:
    """What flows work with, where a test says how long hosts have."""

    database: Database
    confirmations: Any
    patience: float

    def tries(self, host: HostAgent) -> None:
        """From now on the host says nothing by itself, and has little time."""
        host.willing, self.patience = False, 0.3

    def waits(self, host: HostAgent) -> None:
        """It says what it has, and has the time that it needs."""
        host.willing, self.patience = True, 120.0


@pytest.fixture
def patience(monkeypatch: pytest.MonkeyPatch) -> Callable[[], Tried]:
    """How long the service that runs gives hosts."""
    made: list[Tried] = []

    def app(*given: Any) -> Tried:
        made.append(Tried(*given))
        return made[-1]

    monkeypatch.setattr(main, "App", app)
    return lambda: made[-1]
