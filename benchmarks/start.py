"""From `weft up` in an empty directory to every service being healthy."""

import asyncio
import shutil
import tempfile
from pathlib import Path

from benchmarks import cloud
from benchmarks.figures import Goal
from benchmarks.suite import Bench
from mesh.settings import PORTS


async def run(bench: Bench) -> None:
    """The whole command, with the Python that begins it."""
    times = [await _one() for _ in range(bench.of(3, 10))]
    services = [max(seconds[name] for name in (*PORTS, "gateway")) for seconds in times]
    bench.tell("every service and the gateway healthy", "s", services, Goal(5))
    hosts = [seconds["h1"] for seconds in times]
    bench.tell("a simulated host registered", "s", hosts)
    bench.tell("the command returns", "s", [seconds["command"] for seconds in times])


async def _one() -> dict[str, float]:
    folder = Path(tempfile.mkdtemp(prefix="weft-bench-"))
    made = cloud.prepared(folder)
    try:
        return await made.up()
    finally:
        if made.layout.state.exists():
            await made.down()
        await asyncio.to_thread(shutil.rmtree, folder)
