"""How things are timed: one after the other, or several at once."""

import asyncio
import time
from collections.abc import Awaitable, Callable

Work = Callable[[], Awaitable[object]]


async def one_by_one(work: Work, times: int, warm_up: int = 0) -> list[float]:
    """Milliseconds of each, after `warm_up` that do not count."""
    for _ in range(warm_up):
        await work()
    return [await timed(work) for _ in range(times)]


async def timed(work: Work) -> float:
    """Milliseconds of one."""
    begun = time.perf_counter()
    await work()
    return (time.perf_counter() - begun) * 1e3


async def at_once(work: Work, times: int, concurrency: int) -> float:
    """How many end in a second, when so many are always under way."""
    left = times

    async def worker() -> None:
        nonlocal left
        while left > 0:
            left -= 1
            await work()

    begun = time.perf_counter()
    async with asyncio.TaskGroup() as group:
        for _ in range(concurrency):
            group.create_task(worker())
    return times / (time.perf_counter() - begun)


def here(work: Callable[[], object], times: int, batch: int = 1, warm_up: int = 0) -> list[float]:
    """Milliseconds of each, for work in this process that is too short to be timed but by the `batch`, after
    `warm_up` that do not count.
    """
    for _ in range(warm_up):
        work()
    samples = []
    for _ in range(times):
        begun = time.perf_counter()
        for _ in range(batch):
            work()
        samples.append((time.perf_counter() - begun) * 1e3 / batch)
    return samples
