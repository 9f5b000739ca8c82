"""The flow engine alone: flows of eight steps that do nothing, each step journalled as ever.

SQLite with synchronous=FULL in a file on this machine's disk, with one fsync of that disk beside it; and
PostgreSQL, a cluster of its own with fsync on.
"""

import asyncio
import os
import tempfile
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, MetaData

from benchmarks import measure
from benchmarks.figures import Goal
from benchmarks.processes import spending
from benchmarks.suite import Bench
from mesh import ids, tables
from mesh.caller import Caller, Kind
from mesh.database import Database, after_commit
from mesh.flow import Flow, FlowEngine, Run, Step, submit
from tests.postgres import cluster

_STEPS = 8
_AT_ONCE = 64
_CALLER = Caller(kind=Kind.USER, user_id="u", project_id="p", scope="project")


async def _nothing(run: Run) -> dict[str, Any]:
    await asyncio.sleep(0)
    return {"id": run.target_id}


def _finished(connection: Connection, run: Run) -> None:
    after_commit(connection, lambda: run.app[run.target_id].set())


_FLOW = Flow(
    kind="benchmark.nothing",
    target_type="nothing",
    steps=tuple(Step(f"step {number}", _nothing, _nothing) for number in range(_STEPS)),
    deadline=600,
    failed=lambda connection, run, error: None,
    finished=_finished,
)


async def run(bench: Bench) -> None:
    """One after the other, and many at once: on SQLite, then on PostgreSQL."""
    with tempfile.TemporaryDirectory(prefix="weft-bench-") as folder:
        bench.tell("one fsync of the disk", "ms", await asyncio.to_thread(_fsyncs, Path(folder)))
        await _on(bench, f"sqlite:///{folder}/flows.db", "", None)
    with cluster() as url:
        await _on(bench, url, " on PostgreSQL", Goal(200, at_least=True))


async def _on(bench: Bench, url: str, where: str, goal: Goal | None) -> None:
    """Measure with the tables in `url`; `goal` is how many flows there should be in a second."""
    metadata = MetaData()
    tables.add_to(metadata)
    database = await asyncio.to_thread(Database.open, url, metadata, None)
    ended: dict[str, asyncio.Event] = {}
    engine = FlowEngine(database, [_FLOW], ended)
    await engine.start()
    try:
        await _measure(bench, database, ended, where, goal)
    finally:
        await engine.stop()
        await database.close()


async def _measure(
    bench: Bench, database: Database, ended: dict[str, asyncio.Event], where: str, goal: Goal | None
) -> None:
    async def flow() -> None:
        target = ids.new()
        event = ended[target] = asyncio.Event()
        await database.write(_submit, target)
        await event.wait()
        del ended[target]

    times = bench.of(100, 1000)
    with spending({}) as spent:
        samples = await measure.one_by_one(flow, times, warm_up=10)
    bench.tell(f"a flow of {_STEPS} steps{where}", "ms", samples, None, spent.each(times + 10))
    rounds, times = bench.of(3, 5), bench.of(1000, 5000)
    with spending({}) as spent:
        rates = [await measure.at_once(flow, times, _AT_ONCE) for _ in range(rounds)]
    many = f"flows of {_STEPS} steps, {_AT_ONCE} at once{where}"
    bench.tell(many, "/s", rates, goal, spent.each(rounds * times))


def _submit(connection: Connection, target: str) -> str:
    return submit(connection, _FLOW, target_id=target, project_id="p", caller=_CALLER, input={})


def _fsyncs(folder: Path) -> list[float]:
    """Of 4 KiB each, as SQLite's log is written."""
    with (folder / "probe").open("wb", buffering=0) as file:

        def once() -> None:
            file.write(bytes(4096))
            os.fsync(file.fileno())

        return measure.here(once, 100)
