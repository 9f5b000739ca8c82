"""The cloud that is put to the test, and somebody who uses it as any client would."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, TypeVar

from mesh import ids
from mesh.errors import CloudError
from tests.chaos import settle
from tests.chaos.calls import Caller
from tests.chaos.cloud import REPLICAS, ChaosCloud
from tests.chaos.deeds.hands import Place
from tests.chaos.figures import Figures
from tests.chaos.told import Told
from tests.outages.clocks import Clock, forget_the_dead, next_second
from weft.compute.v1 import resources_pb2, server_service_pb2
from weft.compute.v1.operation_service_pb2_grpc import OperationServiceStub
from weft.compute.v1.server_service_pb2_grpc import ServerServiceStub
from weft.operation.v1 import operation_pb2


class OutageCloud(ChaosCloud):
    """Two replicas of control on PostgreSQL, whose clocks are in our hands, and simulated hosts."""

    def __init__(self, state: Path) -> None:
        self.clocks: dict[str, Clock] = {}
        super().__init__(state, simulated=2, real=0)

    def _part(self, name: str, words: list[str], environ: dict[str, str]) -> None:
        if name in REPLICAS:
            self.clocks[name] = Clock(self.state / f"{name}.clock")
            environ = environ | self.clocks[name].environ
        super()._part(name, words, environ)

    async def stop(self) -> None:
        """End everything; only files are left."""
        await super().stop()
        forget_the_dead()

    async def step_clocks(self, hours: float, *names: str) -> None:
        """The clocks of these replicas are so much ahead of the true time when this returns."""
        for name in names:
            self.clocks[name].step(hours)
        await next_second()

    @property
    def pids(self) -> dict[str, int]:
        """All processes by name."""
        return {name: part.pid for name, part in self.parts.items()}


C = TypeVar("C", bound=OutageCloud)


class Somebody:
    """A member of a project."""

    def __init__(self, caller: Caller, place: Place) -> None:
        self.caller, self.place = caller, place
        self.servers: Any = caller.client.stub(ServerServiceStub)
        self.operations: Any = caller.client.stub(OperationServiceStub)

    async def begin(self, name: str = "server") -> resources_pb2.Server:
        """A server whose boot was acknowledged, however often that had to be asked for."""
        request = server_service_pb2.CreateServerRequest(
            name=name,
            flavor_id=self.place.flavors[0],
            image_id=self.place.image_id,
            networks=[{"network_id": self.place.network_id}],
            request_id=ids.new(),
        )
        return await self.caller.insist(self.servers.CreateServer, request)

    async def ended(self, operation_id: str) -> str:
        """How an operation ended; "" when it has not within two minutes."""
        found = await self.caller.ended(self.operations, operation_id, patience=120)
        return (
            operation_pb2.OperationState.Name(found.state).removeprefix("OPERATION_STATE_") if found else ""
        )

    async def boots(self, count: int = 4) -> list[resources_pb2.Server]:
        """Servers whose boots have just begun."""
        return list(await asyncio.gather(*(self.begin(f"s{number}") for number in range(count))))

    async def finds_whole(self, begun: list[resources_pb2.Server]) -> None:
        """All boots succeed, all servers run, and all can be deleted."""
        ends = await asyncio.gather(*(self.ended(server.operation_id) for server in begun))
        assert ends == ["SUCCEEDED"] * len(begun), await self._why(begun)
        assert [await self.status(server.id) for server in begun] == ["ACTIVE"] * len(begun)
        await self.delete_all(begun)

    async def finds_ended(self, begun: list[resources_pb2.Server]) -> None:
        """Every boot is over, whole or undone, and nothing hinders a deletion."""
        for server in begun:
            how = await self.ended(server.operation_id)
            assert (how, await self.status(server.id)) in (("SUCCEEDED", "ACTIVE"), ("FAILED", "ERROR"))
        await self.delete_all(begun)

    async def delete_all(self, begun: list[resources_pb2.Server]) -> None:
        """All are gone when this returns."""
        await asyncio.gather(*(self.delete(server.id) for server in begun))
        assert {await self.status(server.id) for server in begun} == {""}

    async def delete(self, server_id: str) -> None:
        """Gone when this returns."""
        request = server_service_pb2.DeleteServerRequest(id=server_id, request_id=ids.new())
        server = await self.caller.insist(self.servers.DeleteServer, request)
        assert await self.ended(server.operation_id) == "SUCCEEDED"

    async def _why(self, begun: list[resources_pb2.Server]) -> list[str]:
        """What the operations say of themselves."""
        found = []
        for server in begun:
            request = operation_pb2.GetOperationRequest(id=server.operation_id)
            operation = await self.caller.insist(self.operations.GetOperation, request)
            steps = [f"{step.name}: {step.error.message}" for step in operation.steps if step.error.message]
            found.append(f"{operation.state} {operation.error.message} {steps}")
        return found

    async def status(self, server_id: str) -> str:
        """The server's status, "" where there is none."""
        request = server_service_pb2.GetServerRequest(id=server_id)
        try:
            found = await self.caller.insist(self.servers.GetServer, request)
        except CloudError as error:
            assert error.reason == "NOT_FOUND"  # noqa: PT017 - anything else answers another question
            return ""
        return resources_pb2.ServerStatus.Name(found.status).removeprefix("SERVER_STATUS_")

    async def refused(self, within: float) -> CloudError:
        """How a call that cannot succeed now is answered, which takes so many seconds at most."""
        try:
            await self.servers.ListServers(server_service_pb2.ListServersRequest(), timeout=within)
        except CloudError as error:
            return error
        raise AssertionError("it was answered")


@asynccontextmanager
async def running(cloud: C, image: Path) -> AsyncIterator[tuple[C, Somebody]]:
    """The cloud and a person on it within the block; no process is left after it."""
    try:
        await cloud.start()
        (person,) = await settle.people(cloud, 1, image, "", Told(), Figures(), seed=1)
        try:
            yield cloud, Somebody(person.caller, person.place)
        finally:
            await person.caller.client.close()
    finally:
        await cloud.stop()
