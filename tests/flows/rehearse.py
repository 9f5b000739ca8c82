"""A world that a flow changes, a flow over it, and the means to make any part of it die or fail.

The world is what other parties hold: effects by id, each made and unmade idempotently. A plan says what
happens at which point: `("die", "before do", "b")`. Dying is a BaseException: nothing of the engine survives
it, as after kill -9, and another engine finds what is on disk.
"""

import asyncio
import threading
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Column, Connection, MetaData, String, Table, delete, insert, select, update

from mesh import caller, ids, journal
from mesh.database import Database
from mesh.errors import CloudError
from mesh.flow import Flow, FlowEngine, Run, Step, submit

metadata = MetaData()
targets = Table("targets", metadata, Column("id", String(36), primary_key=True), Column("status", String(16)))
marks = Table("marks", metadata, Column("id", String(36), primary_key=True))

USER = caller.Caller(kind=caller.Kind.USER, user_id="u", project_id="p", scope="project")
Point = tuple[str, str]


class Died(BaseException):
    """The process is gone."""


@dataclass
class World:
    """`plan` maps a point, such as ("before do", "b"), to what happens there, one entry each time it is
    passed.
    """

    plan: dict[Point, list[BaseException]] = field(default_factory=dict)
    effects: set[str] = field(default_factory=set)
    seen: Counter[Point] = field(default_factory=Counter)
    request_ids: dict[str, set[str]] = field(default_factory=dict)
    died: threading.Event = field(default_factory=threading.Event)

    def pass_by(self, when: str, step: str) -> None:
        """Whatever the plan has for this point happens."""
        self.seen[when, step] += 1
        planned = self.plan.get((when, step))
        if planned:
            error = planned.pop(0)
            if isinstance(error, Died):
                self.died.set()
            raise error


def remote(name: str, **options: Any) -> Step:
    """A step whose effect is in the world."""

    async def do(run: Run) -> dict[str, Any]:
        world: World = run.app
        world.request_ids.setdefault(name, set()).add(run.request_id)
        await asyncio.sleep(0)
        world.pass_by("before do", name)
        world.effects.add(run.derived(name))
        world.pass_by("after do", name)
        return {"id": run.derived(name)}

    async def undo(run: Run) -> None:
        world: World = run.app
        await asyncio.sleep(0)
        world.pass_by("before undo", name)
        world.effects.discard(run.derived(name))
        world.pass_by("after undo", name)

    return Step(name, do, undo, **options)


def local(name: str) -> Step:
    """A step whose effect is a row beside the journal."""

    def do(connection: Connection, run: Run) -> dict[str, Any]:
        run.app.pass_by("before do", name)
        connection.execute(insert(marks).values(id=run.derived(name)))
        run.app.pass_by("after do", name)
        return {"id": run.derived(name)}

    def undo(connection: Connection, run: Run) -> None:
        run.app.pass_by("before undo", name)
        connection.execute(delete(marks).where(marks.c.id == run.derived(name)))
        run.app.pass_by("after undo", name)

    return Step(name, do, undo, local=True)


def flow(*steps: Step, commit: str = "", deadline: float = 30.0) -> Flow:
    """A flow on a target that ends READY or BROKEN."""

    def failed(connection: Connection, run: Run, error: CloudError) -> None:
        connection.execute(update(targets).where(targets.c.id == run.target_id).values(status="BROKEN"))

    def finished(connection: Connection, run: Run) -> None:
        connection.execute(update(targets).where(targets.c.id == run.target_id).values(status="READY"))

    return Flow("test.make", "target", steps, deadline, failed, commit=commit, finished=finished)


def begin(connection: Connection, plan: Flow, input: dict[str, Any] | None = None) -> str:
    """Make a target and submit the flow on it, in one unit; the operation's id."""
    id = ids.new()
    connection.execute(insert(targets).values(id=id, status="MAKING"))
    return submit(connection, plan, target_id=id, project_id="p", caller=USER, input=input or {})


async def engine(database: Database, plan: Flow, world: World, **options: Any) -> FlowEngine:
    """A started engine for this flow and world."""
    started = FlowEngine(database, [plan], world, **options)
    await started.start()
    return started


async def ended(database: Database, id: str, seconds: float = 20.0) -> Any:
    """The operation's row once it has ended."""
    async with asyncio.timeout(seconds):
        with database.nudges.listen(f"operation/{id}") as listener:
            while True:
                row = await database.read(journal.read, id)
                if row.state not in journal.ACTIVE:
                    return row
                await listener.wait(0.02)


async def survive(
    database: Database, plan: Flow, world: World, id: str, running: FlowEngine, **options: Any
) -> str:
    """Start a new engine each time that one dies, until the operation ends; its state."""
    deaths = sum(isinstance(error, Died) for errors in world.plan.values() for error in errors)
    for _ in range(deaths):
        assert await asyncio.to_thread(world.died.wait, 10), "nobody died"
        world.died.clear()
        await running.stop(release=False)
        running = await engine(database, plan, world, **options)
    try:
        return (await ended(database, id)).state
    finally:
        await running.stop()


def state_of(connection: Connection) -> tuple[list[str], int]:
    """Statuses of all targets, and how many marks there are."""
    statuses = list(connection.scalars(select(targets.c.status)))
    return statuses, len(connection.scalars(select(marks.c.id)).all())
