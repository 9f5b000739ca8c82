"""Calls that are waited for, whatever becomes of the others or of who waits."""

import asyncio
from collections.abc import Awaitable, Iterable
from typing import Any, TypeVar

T = TypeVar("T")


async def all_of(calls: Iterable[Awaitable[T]], at_once: int = 0) -> list[T]:
    """The answers, in the order of the calls; `at_once` of them at a time, 0 for no bound.

    When one fails the others are still waited for, and then its error is raised: an undo must not overtake
    what it undoes.
    """
    if at_once:
        room = asyncio.Semaphore(at_once)
        calls = [_within(room, call) for call in calls]
    answers: list[Any] = await asyncio.gather(*calls, return_exceptions=True)
    for answer in answers:
        if isinstance(answer, BaseException):
            raise answer
    return answers


async def to_its_end(work: Awaitable[T]) -> T:
    """Finish the work also when the caller goes away meanwhile: half of it must not stay."""
    task = asyncio.ensure_future(work)
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        await asyncio.wait([task])
        raise


async def _within(room: asyncio.Semaphore, call: Awaitable[T]) -> T:
    async with room:
        return await call
