"""Replicas on PostgreSQL, one killed with -9: how long until another goes on with what it was working on.

Each replica is a process with a flow engine as services have it, lease and all. The step of every flow leaves
its first worker waiting; a second one is a takeover, and ends it. Times are of the one monotonic clock that
processes of a machine share.
"""

import asyncio
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy import Connection, MetaData

from benchmarks.figures import Goal
from benchmarks.suite import Bench
from mesh import ids, tables
from mesh.caller import Caller, Kind
from mesh.database import Database
from mesh.flow import Flow, FlowEngine, Run, Step, submit
from tests.postgres import cluster

LEASE = 15.0
_REPLICAS, _FLOWS = 3, 120
_CALLER = Caller(kind=Kind.USER, user_id="u", project_id="p", scope="project")


def _flow(folder: Path) -> Flow:
    """One whose step says who began it when, and ends when somebody takes it over or nobody has to."""

    async def wait(run: Run) -> None:
        with (folder / "begun").open("a") as file:
            file.write(f"{run.target_id} {run.epoch} {os.getpid()} {time.monotonic()}\n")
        while run.epoch == 1 and not (folder / "go").exists():  # noqa: ASYNC110 - a file tells nobody
            await asyncio.sleep(0.5)

    return Flow(
        kind="benchmark.wait",
        target_type="nothing",
        steps=(Step("wait", wait, deadline=600),),
        deadline=600,
        failed=lambda connection, run, error: None,
        finished=lambda connection, run: None,
    )


def _open(url: str) -> Database:
    metadata = MetaData()
    tables.add_to(metadata)
    return Database.open(url, metadata, None)


async def run(bench: Bench) -> None:
    """Kill one of three, again and again."""
    samples: list[float] = []
    worst: list[float] = []
    with cluster() as url:
        for _ in range(bench.of(2, 10)):
            folder = Path(tempfile.mkdtemp(prefix="weft-bench-"))
            try:
                found = await _round(url, folder)
            finally:
                shutil.rmtree(folder)
            samples += found
            worst.append(sorted(found)[int(len(found) * 0.99)])
    bench.tell(f"takeover of an operation after kill -9, lease {LEASE:g} s", "s", samples)
    bench.tell("the same, p99 of each kill", "s", worst, Goal(LEASE + 1))


async def _round(url: str, folder: Path) -> list[float]:
    """Seconds from the kill to each operation of the killed replica being worked on again."""
    database = await asyncio.to_thread(_open, url)
    flow = _flow(folder)
    try:
        with _replicas(url, folder) as replicas:
            await _begun(folder, 1, 0, starting=_REPLICAS)
            for _ in range(_FLOWS):
                await database.write(_submit, flow)
            first = await _begun(folder, 1, _FLOWS)
            # Who asks first may take them all: one of the others would lose nothing.
            working = Counter(pid for pid, _ in first.values())
            victim = max(replicas, key=lambda process: working[process.pid])
            killed = time.monotonic()
            victim.send_signal(signal.SIGKILL)
            lost = {id for id, (pid, _) in first.items() if pid == victim.pid}
            second = await _begun(folder, 2, len(lost))
            (folder / "go").touch()
            return [second[id][1] - killed for id in lost]
    finally:
        await database.close()


@contextmanager
def _replicas(url: str, folder: Path) -> Iterator[list[subprocess.Popen[bytes]]]:
    command = [sys.executable, "-m", "benchmarks.takeover", url, str(folder)]
    started = [subprocess.Popen(command) for _ in range(_REPLICAS)]
    try:
        yield started
    finally:
        for process in started:
            process.kill()
            process.wait()


async def _begun(folder: Path, epoch: int, count: int, starting: int = 0) -> dict[str, tuple[int, float]]:
    """Process and time by operation's target, once so many were begun in that epoch."""
    async with asyncio.timeout(120):
        while True:
            await asyncio.sleep(0.05)
            ready, found = _read(folder, epoch)
            if len(found) >= count and ready >= starting:
                return found


def _read(folder: Path, epoch: int) -> tuple[int, dict[str, tuple[int, float]]]:
    """How many replicas are ready, and what was begun."""
    file = folder / "begun"
    lines = file.read_text().splitlines(keepends=True) if file.exists() else []
    said = [line.split() for line in lines if line.endswith("\n")]
    found = {id: (int(pid), float(at)) for id, begun_in, pid, at in said if int(begun_in) == epoch}
    return len(list(folder.glob("ready-*"))), found


def _submit(connection: Connection, flow: Flow) -> str:
    return submit(connection, flow, target_id=ids.new(), project_id="p", caller=_CALLER, input={})


async def _replica(url: str, folder: Path) -> None:
    database = _open(url)
    engine = FlowEngine(database, [_flow(folder)], None, lease=LEASE)
    await engine.start()
    (folder / f"ready-{os.getpid()}").touch()
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(_replica(sys.argv[1], Path(sys.argv[2])))
