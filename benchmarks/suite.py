"""All benchmarks in their order, and what each is given."""

import sys
import time
import traceback
from collections.abc import Sequence
from contextlib import AsyncExitStack
from importlib import import_module

from benchmarks import cloud, report
from benchmarks.cloud import Cloud
from benchmarks.figures import Figure, Goal
from benchmarks.processes import Cost
from benchmarks.report import Record

# Each is a module here with `async def run(bench)`.
NAMES = (
    "start", "idle", "call", "dialect", "tokens", "revocations", "boot", "boot_postgresql", "lists", "ports",
    "volumes", "images", "console", "candidates", "claims", "journal", "takeover", "identity_scale",
    "streams", "datapath", "scale",
)  # fmt: skip


class Bench:
    """What a benchmark works with. `full` asks for many more samples."""

    def __init__(self, full: bool, record: Record, stack: AsyncExitStack) -> None:
        self.full, self.figures = full, list[Figure]()
        self._record, self._stack = record, stack
        self._cloud: Cloud | None = None
        self._name = ""

    def of(self, short: int, long: int) -> int:
        """How many, in a short run and in a full one."""
        return long if self.full else short

    async def cloud(self) -> Cloud:
        """A cloud with one simulated host, shared by the benchmarks of this run."""
        if self._cloud is None:
            self._cloud = await self._stack.enter_async_context(cloud.running())
        return self._cloud

    def tell(
        self,
        name: str,
        unit: str,
        samples: Sequence[float],
        goal: Goal | None = None,
        cost: Cost | None = None,
        note: str = "",
    ) -> None:
        """Print a figure of the benchmark at hand, and keep it."""
        cost = cost or Cost({})
        figure = Figure(self._name, name, unit, samples, goal, cost.cpu_ms, note, cost.pss_mb)
        self.figures.append(figure)
        self._record.keep(figure)
        _say(report.show(figure))

    async def run(self, name: str) -> None:
        """Run one benchmark."""
        self._name = name
        await import_module(f"benchmarks.{name}").run(self)


async def run(names: Sequence[str], full: bool, record: Record) -> tuple[list[Figure], list[str]]:
    """Run these: all their figures, and the names of those that failed, which keeps none of the others."""
    failed = []
    async with AsyncExitStack() as stack:
        bench = Bench(full, record, stack)
        for number, name in enumerate(names, 1):
            _say(f"[{number}/{len(names)}] {name}")
            begun = time.monotonic()
            try:
                await bench.run(name)
            except Exception:  # noqa: BLE001 - told here, and again at the end by the command's status
                traceback.print_exc()
                failed.append(name)
            _say(f"[{number}/{len(names)}] {name}: {time.monotonic() - begun:.0f} s")
        return bench.figures, failed


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)
