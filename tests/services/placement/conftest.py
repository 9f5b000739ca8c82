"""A running placement service, and those who call it."""

from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from typing import Any

import msgspec
import pytest

from mesh import ids, server
from mesh.certificates import Identity
from mesh.channel import Client, connect
from mesh.errors import CloudError
from mesh.server import Runtime, Service
from mesh.settings import Settings, Tracing
from services.placement import __main__ as placement_service
from tests.services.harness import People, person
from weft.placement.v1 import allocation_service_pb2 as allocation_pb
from weft.placement.v1 import candidate_service_pb2 as candidate_pb
from weft.placement.v1 import provider_service_pb2 as provider_pb
from weft.placement.v1 import resources_pb2 as pb
from weft.placement.v1.allocation_service_pb2_grpc import AllocationServiceStub
from weft.placement.v1.candidate_service_pb2_grpc import CandidateServiceStub
from weft.placement.v1.class_service_pb2_grpc import ClassServiceStub
from weft.placement.v1.provider_service_pb2_grpc import ProviderServiceStub


class Caller:
    """Somebody with a connection: all stubs as attributes."""

    def __init__(self, client: Client) -> None:
        self.allocations = client.stub(AllocationServiceStub)
        self.candidates = client.stub(CandidateServiceStub)
        self.classes = client.stub(ClassServiceStub)
        self.providers = client.stub(ProviderServiceStub)


@dataclass
class Placement:
    """A running placement service."""

    runtime: Runtime
    people: People
    clients: list[Client]
    compute: Caller | None = None

    def user(self, *roles: str, scope: str = "system") -> Caller:
        """Somebody with these roles, through the gateway."""
        token = self.people.register(person(ids.new(), *roles, scope=scope))
        return Caller(self._client(Identity.gateway(), token))

    def service(self) -> Caller:
        """Another service, on one connection as services are."""
        self.compute = self.compute or Caller(self._client(Identity.service("compute")))
        return self.compute

    def _client(self, identity: Identity, token: str | None = None) -> Client:
        runtime = self.runtime
        client = connect(
            runtime.service.address,
            runtime.authority.directory / "ca.crt",
            token,
            leaf=runtime.authority.issue(identity),
            server_name=Identity.service("placement").dns,
        )
        self.clients.append(client)
        return client

    async def host(self, name: str, *traits: str, parent_id: str = "", **total: int) -> pb.Provider:
        """A provider with this much of each class."""
        held = [pb.Inventory(resource_class=each, total=amount) for each, amount in total.items()]
        return await self.sync(id=ids.new(), name=name, parent_id=parent_id, inventories=held, traits=traits)

    async def sync(self, **said: Any) -> pb.Provider:
        """Make a provider be so."""
        return await self.service().providers.SyncProvider(provider_pb.SyncProviderRequest(**said))

    async def claim(
        self, *ways: dict[str, dict[str, int]], alternatives: Iterable[str] = (), **consumer: Any
    ) -> pb.Consumer:
        """Claim the first of these ways that has room, or what the first says of one of the alternatives."""
        consumer = {"id": ids.new(), "consumer_type": "server", "operation_id": ids.new(), **consumer}
        request = allocation_pb.ClaimAllocationsRequest(
            consumer=pb.Consumer(**consumer),
            candidates=[pb.Candidate(allocations=held(way)) for way in ways],
            alternative_provider_ids=alternatives,
        )
        return await self.service().allocations.ClaimAllocations(request)

    async def find(self, *groups: Any, **more: Any) -> candidate_pb.ListCandidatesResponse:
        """Ask for candidates; a group is amounts by class, or a RequestGroup."""
        made = [
            each if isinstance(each, pb.RequestGroup) else pb.RequestGroup(resources=each) for each in groups
        ]
        request = candidate_pb.ListCandidatesRequest(groups=made, **more)
        return await self.service().candidates.ListCandidates(request)

    async def used(self, provider_id: str) -> dict[str, int]:
        """How much of each class is allocated."""
        request = provider_pb.GetProviderRequest(id=provider_id)
        provider = await self.service().providers.GetProvider(request)
        return {each.resource_class: each.used for each in provider.inventories}


def held(amounts: dict[str, dict[str, int]]) -> list[pb.Allocation]:
    """Amounts by provider and class as the contract says them."""
    return [pb.Allocation(provider_id=id, resources=resources) for id, resources in amounts.items()]


async def reason(call: Any) -> str:
    """The reason that a call fails with."""
    with pytest.raises(CloudError) as caught:
        await call
    return caught.value.reason


def roots(answer: candidate_pb.ListCandidatesResponse) -> set[str]:
    """The hosts of the candidates."""
    return {candidate.root_id for candidate in answer.candidates}


@asynccontextmanager
async def running(settings: Settings, database_urls: Iterable[str]) -> AsyncIterator[list[Placement]]:
    """Replicas of placement, one for each of the URLs."""
    people = People()
    quiet = msgspec.structs.replace(settings, tracing=Tracing(enabled=False))

    async def build(runtime: Runtime) -> Service:
        service = await placement_service.build(runtime)
        service.verifier = people
        return service

    parts = []
    for number, url in enumerate(database_urls):
        address = f"unix:{settings.state}/run/placement-{number}.sock"
        given = replace(
            settings.for_service("placement"), address=address, listen=(address,), database_url=url
        )
        name = f"placement-{number}"
        tables, migrations = placement_service.TABLES, placement_service.MIGRATIONS
        identity = Identity.service("placement")
        parts.append(server.Part(name, build, tables, migrations, identity=identity, service=given))
    async with server.running(quiet, parts) as runtimes:
        worlds = [Placement(runtime, people, []) for runtime in runtimes.values()]
        try:
            yield worlds
        finally:
            for client in [client for world in worlds for client in world.clients]:
                await client.close()


@pytest.fixture
async def world(cloud: Settings, tmp_path: Any) -> AsyncIterator[Placement]:
    """Placement on SQLite."""
    async with running(cloud, [f"sqlite:///{tmp_path}/placement.db"]) as (found,):
        yield found


@pytest.fixture
async def either(cloud: Settings, database_url: str) -> AsyncIterator[Placement]:
    """Placement, once on SQLite and once on PostgreSQL."""
    async with running(cloud, [database_url]) as (found,):
        yield found


@pytest.fixture
async def replicas(cloud: Settings, postgres_schema: str) -> AsyncIterator[list[Placement]]:
    """Two placements on one PostgreSQL."""
    async with running(cloud, [postgres_schema] * 2) as found:
        yield found
