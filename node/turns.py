"""One at a time for each guest and each volume, and to the end.

Work on a guest is not broken off because whoever asked has gone: a deadline that passes in the middle would
leave a thread inside libvirt and the next call beside it. The next call waits its turn and finds what is.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any, TypeVar

T = TypeVar("T")
DRAIN_SECONDS = 10.0


class Turns:
    """Named locks, and work that holds some of them."""

    def __init__(self) -> None:
        self._locks: dict[str, asyncio.Lock] = {}
        self._users: dict[str, int] = {}
        self._works: set[asyncio.Task[Any]] = set()

    async def take(self, work: Callable[[], Coroutine[Any, Any, T]], *names: str) -> T:
        """What `work()` answers, run alone among all that name one of `names`."""
        task = asyncio.create_task(self._run(work, names))
        self._works.add(task)
        task.add_done_callback(self._works.discard)
        return await asyncio.shield(task)

    async def drain(self) -> None:
        """Until all work that was begun has ended, well or not, but no longer than DRAIN_SECONDS."""
        if self._works:
            await asyncio.wait(self._works, timeout=DRAIN_SECONDS)

    async def _run(self, work: Callable[[], Coroutine[Any, Any, T]], names: tuple[str, ...]) -> T:
        async with AsyncExitStack() as held:
            for name in sorted(set(names)):  # everybody in the same order: nobody waits in a circle
                await held.enter_async_context(self._lock(name))
            return await work()

    @asynccontextmanager
    async def _lock(self, name: str) -> AsyncIterator[None]:
        lock = self._locks.setdefault(name, asyncio.Lock())
        self._users[name] = self._users.get(name, 0) + 1
        try:
            async with lock:
                yield
        finally:
            self._users[name] -= 1
            if not self._users[name]:
                del self._users[name], self._locks[name]


def guest(server_id: str) -> str:
    """The name of a guest's turn."""
    return f"guest/{server_id}"


def volume(volume_id: str) -> str:
    """The name of a volume's turn."""
    return f"volume/{volume_id}"
