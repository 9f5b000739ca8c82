"""Wake-ups within a process: somebody waits for a key, somebody else says that it changed."""

import asyncio
from collections import defaultdict


class Nudges:
    """Lost wake-ups are harmless by contract: whoever waits looks again after a timeout anyway.

    To be used on one event loop.
    """

    def __init__(self) -> None:
        self._waiting: defaultdict[str, set[asyncio.Event]] = defaultdict(set)

    def notify(self, key: str) -> None:
        """Wake everybody who waits for `key`."""
        for event in self._waiting.get(key, ()):
            event.set()

    def listen(self, key: str) -> "Listener":
        """A context manager that hears of `key` from its beginning on, also between two waits."""
        return Listener(self._waiting, key)


class Listener:
    """One who listens to one key."""

    def __init__(self, waiting: defaultdict[str, set[asyncio.Event]], key: str) -> None:
        self._waiting, self._key = waiting, key
        self._event = asyncio.Event()

    def __enter__(self) -> "Listener":
        self._waiting[self._key].add(self._event)
        return self

    def __exit__(self, *_: object) -> None:
        self._waiting[self._key].discard(self._event)
        if not self._waiting[self._key]:
            del self._waiting[self._key]

    async def wait(self, timeout: float) -> bool:
        """True when nudged since the last wait, False after `timeout` seconds without."""
        try:
            async with asyncio.timeout(timeout):
                await self._event.wait()
        except TimeoutError:
            return False
        self._event.clear()
        return True
