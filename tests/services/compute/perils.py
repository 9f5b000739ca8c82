"""Flows that die or fail where they are told to, and engines that take over from dead ones."""

import asyncio
from dataclasses import dataclass, field, replace
from typing import Any

from mesh.errors import CloudError
from mesh.flow import Flow, FlowEngine, Run, Step
from services.compute.__main__ import FLOWS
from services.compute.flows.app import App
from services.compute.nodes import Nodes
from tests.services.compute.cloud import Cloud

Point = tuple[str, str]


class Died(BaseException):
    """The process is gone: nothing of the engine outlives it, as after kill -9."""


def doomed() -> CloudError:
    """No other attempt would help."""
    return CloudError("CAPACITY_EXCEEDED", "on purpose")


def passing() -> CloudError:
    """The next attempt helps."""
    return CloudError("UNAVAILABLE", "on purpose", service="test")


@dataclass
class Perils:
    """What happens at which point, such as ("before do", "claim host"): one entry each time it is passed."""

    plan: dict[Point, list[BaseException]] = field(default_factory=dict)
    death: asyncio.Event = field(default_factory=asyncio.Event)

    def pass_by(self, when: str, step: str) -> None:
        if self.plan.get((when, step)):
            happens = self.plan[when, step].pop(0)
            if isinstance(happens, Died):
                self.death.set()
            raise happens

    def over(self, flow: Flow) -> Flow:
        """The same flow, in peril."""
        return replace(flow, steps=tuple(self._step(step) for step in flow.steps))

    def _step(self, step: Step) -> Step:
        async def do(run: Run) -> Any:
            self.pass_by("before do", step.name)
            output = await step.do(run)
            self.pass_by("after do", step.name)
            return output

        async def undo(run: Run) -> None:
            assert step.undo is not None
            self.pass_by("before undo", step.name)
            await step.undo(run)
            self.pass_by("after undo", step.name)

        return replace(step, do=do, undo=undo if step.undo else None)


class Survivor:
    """Runs compute's flows; whenever an engine has died, another takes over."""

    def __init__(self, cloud: Cloud) -> None:
        self._cloud, self.perils = cloud, Perils()
        self._engine: FlowEngine | None = None
        self.deaths = 0

    async def __aenter__(self) -> "Survivor":
        assert self._cloud.runtime.flows is not None
        await self._cloud.runtime.flows.stop()
        await self._take_over()
        self._watching = asyncio.create_task(self._watch())
        return self

    async def __aexit__(self, *_: object) -> None:
        self._watching.cancel()
        assert self._engine is not None
        await self._engine.stop()

    async def _take_over(self) -> None:
        runtime = self._cloud.runtime
        app = App(runtime.database, runtime.peers, Nodes(runtime.peers, runtime.database))
        self._engine = FlowEngine(runtime.database, [self.perils.over(flow) for flow in FLOWS], app)
        await self._engine.start()

    async def _watch(self) -> None:
        """An engine whose worker has died is dead as a whole: that is what a death of the process is."""
        while True:
            await self.perils.death.wait()
            self.perils.death.clear()
            self.deaths += 1
            assert self._engine is not None
            await self._engine.stop(release=False)
            await self._take_over()
