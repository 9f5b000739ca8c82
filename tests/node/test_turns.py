"""One at a time, and to the end."""

import asyncio

import pytest

from node.turns import Turns


async def test_work_on_one_thing_is_done_one_at_a_time() -> None:
    turns, running, most = Turns(), 0, 0

    async def work() -> None:
        nonlocal running, most
        running += 1
        most = max(most, running)
        await asyncio.sleep(0)
        running -= 1

    await asyncio.gather(*(turns.take(work, "a") for _ in range(10)))
    assert most == 1
    await asyncio.gather(*(turns.take(work, str(number)) for number in range(10)))
    assert most == 10


async def test_those_who_need_several_things_never_wait_in_a_circle() -> None:
    turns = Turns()

    async def work() -> None:
        await asyncio.sleep(0)

    orders = [("a", "b"), ("b", "a"), ("a", "b", "a")] * 10
    async with asyncio.timeout(5):
        await asyncio.gather(*(turns.take(work, *names) for names in orders))


async def test_work_goes_on_when_its_caller_leaves_and_the_next_waits_for_it() -> None:
    turns, go, done = Turns(), asyncio.Event(), []

    async def slow() -> None:
        await go.wait()
        done.append("slow")

    async def quick() -> None:
        done.append("quick")

    with pytest.raises(TimeoutError):
        await asyncio.wait_for(turns.take(slow, "a"), 0.01)
    second = asyncio.create_task(turns.take(quick, "a"))
    await asyncio.sleep(0.01)
    assert done == []
    go.set()
    await second
    assert done == ["slow", "quick"]
    await turns.drain()
