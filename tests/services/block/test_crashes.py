"""Block's flows, when whoever works on them dies or a host fails at every step: all or nothing, and once."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from typing import Any

import pytest

from mesh.flow import FlowEngine
from services.block.drivers import drivers
from services.block.flows import FLOWS
from services.block.flows.app import App
from tests.services.block.conftest import GIB, Block, Cloud
from tests.services.block.fakes import FakeHost, failing
from weft.block.v1 import resources_pb2 as pb
from weft.operation.v1 import operation_pb2

Moment = Callable[[FakeHost], dict[str, Callable[[], Awaitable[None]]]]
MOMENTS: dict[str, Moment] = {"before": lambda host: host.before, "after": lambda host: host.after}
# Each flow, and the calls to a host that its steps make.
CALLS = [
    ("create", "CreateVolume"),
    ("copy", "CreateVolume"),
    ("delete", "DeleteVolume"),
    ("delete_all", "DeleteSnapshot"),
    ("delete_all", "DeleteVolume"),
    ("extend", "ExtendVolume"),
    ("extend", "ResizeVolume"),
    ("snapshot", "CreateSnapshot"),
    ("delete_snapshot", "DeleteSnapshot"),
]


class Engines:
    """The engine that works now; `die` kills it wherever it is, as kill -9 would, and starts another."""

    def __init__(self, world: Cloud) -> None:
        self._runtime = world.house.runtimes["block"]
        self._app = App(self._runtime.database, drivers(self._runtime.peers))
        assert self._runtime.flows is not None
        self.now = self._runtime.flows
        self.deaths = 0
        self._dying: set[asyncio.Task[None]] = set()

    def die(self, times: int = 1) -> Callable[[], Awaitable[None]]:
        """A hook that kills whoever calls the host, so many times."""

        async def hook() -> None:
            if self.deaths < times:
                self.deaths += 1
                task = asyncio.create_task(self._replace())
                self._dying.add(task)
                await asyncio.Event().wait()

        return hook

    async def _replace(self) -> None:
        await self.now.stop(release=False)
        self.now = FlowEngine(self._runtime.database, FLOWS, self._app)
        await self.now.start()

    async def close(self) -> None:
        """Stop the last one."""
        await asyncio.gather(*self._dying)
        await self.now.stop()


@pytest.fixture
async def engines(world: Cloud) -> AsyncIterator[Engines]:
    """The engines of one test."""
    engines = Engines(world)
    yield engines
    await engines.close()


@dataclass
class Scene:
    """What a flow is let loose on: an attached volume with a snapshot, all on one host."""

    mine: Block
    host: FakeHost
    host_id: str
    volume: pb.Volume
    snapshot: pb.Snapshot

    async def begin(self, flow: str) -> operation_pb2.Operation:
        """Run a flow to its end."""
        asked: Any
        match flow:
            case "create":
                asked = await self.mine.create(2, near_host_id=self.host_id, name="new")
            case "copy":
                asked = await self.mine.create(2, snapshot_id=self.snapshot.id, name="new")
            case "delete":
                spare = await self._spare()
                asked = await self.mine.delete(spare)
            case "delete_all":
                spare = await self._spare()
                await self.mine.snapshot(spare)
                asked = await self.mine.delete(spare, with_snapshots=True)
            case "extend":
                asked = await self.mine.extend(self.volume.id, 5)
            case "snapshot":
                asked = await self.mine.snapshot(self.volume.id, name="new")
                listed = await self.mine.operations.ListOperations(
                    operation_pb2.ListOperationsRequest(target_id=asked.id)
                )
                return listed.operations[0]
            case "delete_snapshot":
                asked = await self.mine.delete_snapshot(self.snapshot.id)
        async with asyncio.timeout(20):
            return await self.mine.operation_ended(asked.operation_id)

    async def _spare(self) -> str:
        found = [id for id in await self.mine.ids() if id != self.volume.id]
        return found[0]

    async def check(self) -> None:
        """Nothing is under way, and the host has what the rows say and nothing else."""
        ids = await self.mine.ids()
        volumes = [await self.mine.get(id) for id in ids]
        assert all(not volume.operation_id for volume in volumes)
        there = {v.id for v in volumes if v.status != pb.VOLUME_STATUS_ERROR}
        uncertain = {v.id for v in volumes if "deleted" in v.status_reason}
        assert there <= set(self.host.volumes) <= there | uncertain
        for volume in volumes:
            if volume.id in there:
                assert self.host.volumes[volume.id].size_bytes >= volume.size_gib * GIB
        assert self.host.exports == {}


@pytest.fixture
async def scene(world: Cloud, mine: Block, compute: Block) -> Scene:
    """A scene on the first host, with a second volume to spare."""
    host = world.hosts[0]
    volume, _ = await asyncio.gather(
        mine.make(2, near_host_id=host.id, name="first"), mine.make(1, near_host_id=host.id, name="spare")
    )
    await compute.attach(volume.id, host.id)
    snapshot = await mine.snapshot(volume.id)
    return Scene(mine, host.fake, host.id, await mine.get(volume.id), snapshot)


async def succeeded(scene: Scene, flow: str) -> bool:
    """Whether the flow had its whole effect."""
    names = {(await scene.mine.get(id)).name for id in await scene.mine.ids()}
    size = (await scene.mine.get(scene.volume.id)).size_gib
    match flow:
        case "create" | "copy":
            return "new" in names and len(scene.host.volumes) == 3
        case "delete":
            return "spare" not in names and len(scene.host.volumes) == 1
        case "delete_all":
            kept = [scene.snapshot.id]
            return (
                "spare" not in names and len(scene.host.volumes) == 1 and list(scene.host.snapshots) == kept
            )
        case "extend":
            return size == 5 and scene.host.told[-1][2] == 5 * GIB
        case "snapshot":
            return len(scene.host.snapshots) == 2
        case _:
            return len(scene.host.snapshots) == 0


@pytest.mark.parametrize("deaths", [1, 2])
@pytest.mark.parametrize("moment", MOMENTS)
@pytest.mark.parametrize(("flow", "rpc"), CALLS)
async def test_a_worker_that_dies_is_followed_by_one_that_finishes(
    scene: Scene, engines: Engines, flow: str, rpc: str, moment: str, deaths: int
) -> None:
    MOMENTS[moment](scene.host)[rpc] = engines.die(deaths)
    operation = await scene.begin(flow)
    assert engines.deaths == deaths
    assert operation.state == operation_pb2.OPERATION_STATE_SUCCEEDED
    assert await succeeded(scene, flow)
    await scene.check()


@pytest.mark.parametrize("moment", MOMENTS)
@pytest.mark.parametrize(("flow", "rpc"), CALLS)
async def test_a_failure_that_passes_is_not_seen(scene: Scene, flow: str, rpc: str, moment: str) -> None:
    MOMENTS[moment](scene.host)[rpc] = failing("UNAVAILABLE", 1)
    assert (await scene.begin(flow)).state == operation_pb2.OPERATION_STATE_SUCCEEDED
    assert await succeeded(scene, flow)
    await scene.check()


@pytest.mark.parametrize("moment", MOMENTS)
@pytest.mark.parametrize(("flow", "rpc"), [call for call in CALLS if call[1] != "ResizeVolume"])
async def test_a_failure_for_good_leaves_nothing_half_done(
    scene: Scene, flow: str, rpc: str, moment: str
) -> None:
    MOMENTS[moment](scene.host)[rpc] = failing("INTERNAL")
    before = await scene.mine.get(scene.volume.id)
    operation = await scene.begin(flow)
    assert operation.state == operation_pb2.OPERATION_STATE_FAILED
    assert operation.error.reason == "INTERNAL"
    after = await scene.mine.get(scene.volume.id)
    assert (after.status, after.size_gib) == (before.status, before.size_gib)
    assert flow not in ("create", "copy") or len(scene.host.volumes) == 2
    assert flow != "snapshot" or len(scene.host.snapshots) == 1
    await scene.check()


@pytest.mark.parametrize("moment", MOMENTS)
@pytest.mark.parametrize(
    ("flow", "rpc", "undo"),
    [("create", "CreateVolume", "DeleteVolume"), ("snapshot", "CreateSnapshot", "DeleteSnapshot")],
)
async def test_a_worker_that_dies_while_it_undoes_is_followed_by_one_that_undoes(
    scene: Scene, engines: Engines, flow: str, rpc: str, undo: str, moment: str
) -> None:
    scene.host.after[rpc] = failing("INTERNAL")
    MOMENTS[moment](scene.host)[undo] = engines.die()
    operation = await scene.begin(flow)
    assert engines.deaths == 1
    assert operation.state == operation_pb2.OPERATION_STATE_FAILED
    assert (len(scene.host.volumes), len(scene.host.snapshots)) == (2, 1)
    await scene.check()


async def test_a_cancelled_creation_leaves_nothing_on_the_host(scene: Scene, world: Cloud) -> None:
    reached = asyncio.Event()

    async def hold() -> None:
        reached.set()
        await asyncio.sleep(30)

    scene.host.after["CreateVolume"] = hold
    asked = await scene.mine.create(2, near_host_id=scene.host_id)
    await reached.wait()
    request = operation_pb2.CancelOperationRequest(id=asked.operation_id)
    await scene.mine.operations.CancelOperation(request)
    operation = await scene.mine.operation_ended(asked.operation_id)
    assert operation.state == operation_pb2.OPERATION_STATE_CANCELLED
    assert (await scene.mine.get(asked.id)).status == pb.VOLUME_STATUS_ERROR
    assert len(scene.host.volumes) == 2
    await scene.check()
