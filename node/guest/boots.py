"""How many guests may be in their first seconds of boot at the same time."""

import asyncio
from collections.abc import Callable

_LOOK_SECONDS = 0.25
_PATIENCE_SECONDS = 20.0


class Boots:
    """Without hardware virtualization a booting guest takes a whole core, and four on two cores take longer
    than two by two. A place is held until the guest has said something on its console, or for 20 seconds.
    """

    def __init__(self, limit: int) -> None:
        self._places = asyncio.Semaphore(limit)
        self._watches: set[asyncio.Task[None]] = set()

    async def enter(self) -> None:
        """Wait for a place. Whoever has it calls `watch` or `leave`."""
        await self._places.acquire()

    def leave(self) -> None:
        """Give the place back at once: the guest did not start."""
        self._places.release()

    def watch(self, spoken_bytes: Callable[[], int], before: int) -> None:
        """Give the place back when the guest's console is longer than `before`."""
        watch = asyncio.create_task(self._watch(spoken_bytes, before))
        self._watches.add(watch)
        watch.add_done_callback(self._watches.discard)

    async def _watch(self, spoken_bytes: Callable[[], int], before: int) -> None:
        try:
            for _ in range(int(_PATIENCE_SECONDS / _LOOK_SECONDS)):
                await asyncio.sleep(_LOOK_SECONDS)
                if spoken_bytes() > before:
                    return
        finally:
            self._places.release()
