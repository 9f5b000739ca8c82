"""What a cloud costs in which nothing happens."""

import asyncio

from benchmarks.figures import Goal
from benchmarks.processes import pss_mb
from benchmarks.suite import Bench

_SETTLE, _WATCH = 5.0, 30.0


async def run(bench: Bench) -> None:
    """Of the control plane with its gateway together, of each process, and of a host's agent apart."""
    cloud = await bench.cloud()
    await asyncio.sleep(_SETTLE)
    with cloud.spending() as spent:
        await asyncio.sleep(_WATCH)
    cores = {name: ms / _WATCH / 10 for name, ms in spent.ms.items() if name != "client"}
    memory = {name: pss_mb(pid) for name, pid in cloud.pids().items()}
    together = sum(memory[name] for name in cloud.control_plane)
    bench.tell("memory of control and gateway", "MB PSS", [together], Goal(350))
    busy = sum(cores[name] for name in cloud.control_plane)
    bench.tell("processor of control and gateway", "% of a core", [busy], Goal(2))
    for name, size in memory.items():
        called = name if name in cloud.control_plane else "a host's agent (simulated)"
        bench.tell(f"memory of {called}", "MB PSS", [size])
        bench.tell(f"processor of {called}", "% of a core", [cores[name]])
