"""Flows that die or fail where they are told to, and engines that take over from dead ones."""

import asyncio
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any

from mesh.errors import CloudError
from mesh.flow import Flow, FlowEngine, Run, Step
from mesh.server import Runtime

Point = tuple[str, str]
Plan = dict[Point, list[BaseException]]


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
        return self._local(step) if step.local else self._remote(step)

    def _local(self, step: Step) -> Step:
        def do(connection: Any, run: Run) -> Any:
            self.pass_by("before do", step.name)
            output = step.do(connection, run)
            self.pass_by("after do", step.name)
            return output

        def undo(connection: Any, run: Run) -> None:
            assert step.undo is not None
            self.pass_by("before undo", step.name)
            step.undo(connection, run)
            self.pass_by("after undo", step.name)

        return replace(step, do=do, undo=undo if step.undo else None)

    def _remote(self, step: Step) -> Step:
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
    """Runs a service's flows in peril; whenever an engine has died, another takes over: at once on SQLite,
    else once the `lease` is over (seconds).
    """

    def __init__(self, runtime: Runtime, flows: Iterable[Flow], app: Any, lease: float = 15.0) -> None:
        self._runtime, self._flows, self._app, self._lease = runtime, tuple(flows), app, lease
        self.perils = Perils()
        self._engine: FlowEngine | None = None
        self.deaths = 0

    async def __aenter__(self) -> "Survivor":
        assert self._runtime.flows is not None
        await self._runtime.flows.stop()
        await self._take_over()
        self._watching = asyncio.create_task(self._watch())
        return self

    async def __aexit__(self, *_: object) -> None:
        self._watching.cancel()
        assert self._engine is not None
        assert self._runtime.flows is not None
        await self._engine.stop()
        await self._runtime.flows.start()

    async def _take_over(self) -> None:
        flows = [self.perils.over(flow) for flow in self._flows]
        self._engine = FlowEngine(self._runtime.database, flows, self._app, lease=self._lease)
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


def forward(flow: Flow) -> list[Point]:
    return [(when, step.name) for step in flow.steps for when in ("before do", "after do")]


def backward(flow: Flow) -> list[Point]:
    undone = [step for step in flow.steps[: flow.commit_position] if step.undo]
    return [(when, step.name) for step in undone for when in ("before undo", "after undo")]


def deaths(flow: Flow) -> Iterator[Plan]:
    for when, name in forward(flow):
        yield {(when, name): [Died()]}
        if when == "after do":
            yield {(when, name): [Died(), Died()]}


def deaths_on_the_way_back(flow: Flow) -> Iterator[Plan]:
    last = ("before do", flow.steps[flow.commit_position].name)
    for point in backward(flow):
        yield {last: [doomed()], point: [Died()]}


def failures(flow: Flow) -> Iterator[Plan]:
    for position, step in enumerate(flow.steps):
        for when in ("before do", "after do"):
            if position <= flow.commit_position:
                yield {(when, step.name): [doomed()]}


def failures_that_pass(flow: Flow) -> Iterator[Plan]:
    for step in flow.steps:
        yield {("after do", step.name): [passing()]}
