"""A compute service that is real among fakes, people who use it, and what must always hold."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from mesh import ids
from mesh.caller import Caller
from mesh.certificates import Authority
from mesh.errors import CloudError
from mesh.server import Runtime
from mesh.settings import Settings
from services.compute import model
from services.compute.__main__ import build
from services.compute.store import hosts
from services.compute.tables import server_places, servers
from tests.services.compute.fakes.block import Block
from tests.services.compute.fakes.image import Images
from tests.services.compute.fakes.network import Networks
from tests.services.compute.fakes.node import Machine, Node
from tests.services.compute.fakes.placement import Placement
from tests.services.compute.fakes.telemetry import Telemetry
from tests.services.harness import House, house, person
from tests.services.versions import guard
from weft.compute.v1 import (
    flavor_service_pb2_grpc,
    host_service_pb2_grpc,
    key_pair_service_pb2_grpc,
    operation_service_pb2_grpc,
    server_group_service_pb2_grpc,
    server_service_pb2_grpc,
)
from weft.compute.v1.flavor_service_pb2 import CreateFlavorRequest
from weft.compute.v1.host_service_pb2 import GuestEvent, GuestState, RegisterHostRequest
from weft.compute.v1.resources_pb2 import Flavor, Host, Server, ServerStatus
from weft.compute.v1.server_service_pb2 import CreateServerRequest, DeleteServerRequest, GetServerRequest
from weft.operation.v1.operation_pb2 import WatchOperationRequest

# Columns of a server that no message shows.
_UNSEEN = {"guest_state", "guest_state_at", "metadata_due"}


class User:
    """A person, and the services as they reach them."""

    def __init__(self, cloud: "Cloud", caller: Caller) -> None:
        client = cloud.house.user("compute", caller)
        self.caller, self.project_id = caller, caller.project_id
        self.servers: Any = client.stub(server_service_pb2_grpc.ServerServiceStub)
        self.flavors: Any = client.stub(flavor_service_pb2_grpc.FlavorServiceStub)
        self.groups: Any = client.stub(server_group_service_pb2_grpc.ServerGroupServiceStub)
        self.keys: Any = client.stub(key_pair_service_pb2_grpc.KeyPairServiceStub)
        self.hosts: Any = client.stub(host_service_pb2_grpc.HostServiceStub)
        self.operations: Any = client.stub(operation_service_pb2_grpc.OperationServiceStub)

    async def get(self, id: str) -> Server:
        return await self.servers.GetServer(GetServerRequest(id=id))

    async def settled(self, server: Server) -> Server:
        """The server once nothing is under way on it."""
        async with asyncio.timeout(60):
            while (server := await self.get(server.id)).operation_id:
                await self.over(server.operation_id)
        return server

    async def over(self, operation_id: str) -> None:
        """The operation has ended."""
        async for _ in self.operations.WatchOperation(WatchOperationRequest(id=operation_id)):
            pass

    async def boot(self, **fields: Any) -> Server:
        """A server, ACTIVE or in ERROR."""
        return await self.settled(await self.servers.CreateServer(CreateServerRequest(**fields)))

    async def delete(self, server: Server) -> None:
        """The server is gone."""
        begun = await self.servers.DeleteServer(DeleteServerRequest(id=server.id))
        async with asyncio.timeout(60):
            await self.over(begun.operation_id)
        assert await self.gone(server)

    async def gone(self, server: Server) -> bool:
        try:
            await self.get(server.id)
        except CloudError as error:
            assert error.reason == "NOT_FOUND"  # noqa: PT017 - anything else is no answer to the question
            return True
        return False


@dataclass
class Cloud:
    """What a test of compute has at hand: two hosts, one network, one image, one flavor, two projects."""

    house: House
    placement: Placement
    networks: Networks
    block: Block
    images: Images
    telemetry: Telemetry
    nodes: list[Node]

    def __post_init__(self) -> None:
        self.member = User(self, person(ids.new(), "member", "reader"))
        self.stranger = User(self, person(ids.new(), "member", "reader"))
        self.admin = User(self, person("", "admin", "manager", "member", "reader", scope="system"))
        self.network = self.networks.add_network(self.member.project_id)
        self.image = self.images.add_image(self.member.project_id)
        for node in self.nodes:
            node.bring = self.images.brought

    async def furnish(self) -> None:
        """Register the hosts and make the flavor."""
        for node in self.nodes:
            await self.register(node)
        wanted = CreateFlavorRequest(name="small", vcpus=1, memory_mib=512, disk_gib=2)
        self.flavor: Flavor = await self.admin.flavors.CreateFlavor(wanted)

    @property
    def runtime(self) -> Runtime:
        return self.house.runtimes["compute"]

    def agent(self, node: Node) -> Any:
        """HostService as this host's agent reaches it."""
        return self.house.node("compute", node.id).stub(host_service_pb2_grpc.HostServiceStub)

    async def register(self, node: Node, **fields: Any) -> Host:
        host = Host(id=node.id, name=node.name, address=node.address, hypervisor="simulated")
        host.vcpus, host.memory_mib, host.disk_gib = 4, 8192, 100
        given = {"vcpu_ratio": 4.0, "memory_reserved_mib": 512} | fields
        return await self.agent(node).RegisterHost(RegisterHostRequest(host=host, **given))

    async def host_falls_silent(self, node: Node) -> None:
        """Its last heartbeat was long ago, and that was noticed."""
        await self.runtime.database.write(hosts.mark_down, timedelta(seconds=-1))
        for other in self.nodes:
            if other is not node:
                await self.register(other)

    @property
    def wish(self) -> dict[str, Any]:
        """An ordinary server."""
        return {"name": "web", "flavor_id": self.flavor.id, "image_id": self.image.id}

    def host_of(self, server: Server) -> Node:
        """Where its guest is."""
        return next(node for node in self.nodes if server.id in node.guests)

    def _assert_sized(self, row: Any, machine: Machine) -> None:
        """Guest and claim are of the flavor's size, and the quota counts the larger of both."""
        assert (machine.spec.vcpus, machine.spec.memory_mib) == (
            row.flavor["vcpus"],
            row.flavor["memory_mib"],
        )
        assert (machine.before is not None) == bool(row.resize and not row.resize["moved"])
        old = row.resize["flavor"] if row.resize else row.flavor
        assert row.vcpus == max(old["vcpus"], row.flavor["vcpus"])
        claims = [self.placement.consumers.get(id) for id in (row.id, row.spare_claim_id)]
        held = [a.resources.get("VCPU", 0) for c in claims if c for a in c.allocations]
        moved = bool(row.resize and row.resize["moved"])
        assert sum(held) == (old["vcpus"] + row.flavor["vcpus"] if moved else row.vcpus)

    async def assert_consistent(self) -> None:
        """Every server has all that is its own, and nothing is anybody else's or nobody's."""
        rows = await self.runtime.database.read(_all_servers)
        placed = {row.id: row for row in rows if row.host_id}
        for row in rows:
            assert row.status in model.SETTLED, row.status
            assert row.operation_id is None
        # A resize that is not confirmed holds more on the side, or room and a guest on another host.
        waiting = {row.id: row.resize["host_id"] for row in rows if row.resize and row.resize["moved"]}
        spare = {row.spare_claim_id for row in rows if row.spare_claim_id} & set(self.placement.consumers)
        assert set(self.placement.consumers) == set(placed) | spare
        assert {id for row in rows if row.id in waiting for id in [row.spare_claim_id]} <= spare
        assert all(row.resize for row in rows if row.spare_claim_id)
        at = {(id, node.id) for node in self.nodes for id in node.guests}
        assert at == {(row.id, row.host_id) for row in placed.values()} | set(waiting.items())
        guests = {row.id: next(n for n in self.nodes if n.id == row.host_id) for row in placed.values()}
        for node in self.nodes:
            assert not any(machine.offered for machine in node.guests.values())
        for row in placed.values():
            self._assert_sized(row, guests[row.id].guests[row.id])
        made = {id for id, port in self.networks.ports.items() if port.device_owner == "compute"}
        assert made == {port["port_id"] for row in rows for port in row.ports if port["created"]}
        held = {volume["attachment_id"] for row in rows for volume in row.volumes}
        assert set(self.block.attachments) == held
        assert not any(machine.copies for node in self.nodes for machine in node.guests.values())
        for row in placed.values():
            node = guests[row.id]
            assert node.id == row.host_id
            assert set(node.guests[row.id].volumes) == {v["attachment_id"] for v in row.volumes}
            assert set(node.guests[row.id].ports) == {port["port_id"] for port in row.ports}
            assert all(self.networks.ports[p["port_id"]].host_id == row.host_id for p in row.ports)
        for volume in self.block.volumes:
            attached = any(a.volume_id == volume for a in self.block.attachments.values())
            assert self.block.status_of(volume) == ("IN_USE" if attached else "AVAILABLE")
        had = {(r.id, id) for r in rows if r.server_group_id for id in (r.host_id, waiting.get(r.id)) if id}
        assert set(await self.runtime.database.read(_all_places)) == had
        bound = {port.id for port in self.networks.ports.values() if port.host_id}
        assert bound == {port["port_id"] for row in rows for port in row.ports}


def _all_places(connection: Any) -> list[tuple[str, str]]:
    return [(row.server_id, row.host_id) for row in connection.execute(server_places.select())]


def _all_servers(connection: Any) -> list[Any]:
    return list(connection.execute(servers.select()))


def status(server: Server) -> str:
    """Its status without the prefix."""
    return ServerStatus.Name(server.status).removeprefix("SERVER_STATUS_")


def event(server: Server, state: str, **fields: Any) -> GuestEvent:
    """Something that happened to its guest just now."""
    happened = GuestEvent(server_id=server.id, state=GuestState.Value(f"GUEST_STATE_{state}"), **fields)
    happened.occurred_at.GetCurrentTime()
    return happened


@asynccontextmanager
async def cloud_of(settings: Settings, authority: Authority) -> AsyncIterator[Cloud]:
    """All of it, running."""
    nodes = [Node(name, f"unix:{settings.state}/run/{name}.sock") for name in ("alpha", "beta")]
    fakes = Placement(), Networks(), Block(), Images(), Telemetry()
    others = [fake.part() for fake in (*fakes, *nodes)]
    async with house(settings, authority, {"compute": build}, others) as running:
        cloud = Cloud(running, *fakes, nodes)
        await cloud.runtime.database.write(guard, servers, _UNSEEN)
        await cloud.furnish()
        yield cloud
