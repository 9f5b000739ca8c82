"""Sweeps: work with no caller, done again and again, and at once when somebody nudges."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import TYPE_CHECKING

from mesh import outbox, replay
from mesh.errors import CloudError

if TYPE_CHECKING:
    from mesh.database import Database

_log = logging.getLogger(__name__)


class Sweep:
    """Calls `fn` every so many seconds, and soon after a nudge; a failure is logged and the next round tries
    again.
    """

    def __init__(self, name: str, every_seconds: float, fn: Callable[[], Awaitable[object]]) -> None:
        self.name, self._every, self._fn = name, every_seconds, fn
        self._nudged = asyncio.Event()

    def nudge(self) -> None:
        """Sweep again as soon as the present round, if any, is done."""
        self._nudged.set()

    async def run(self) -> None:
        """Sweep until cancelled; the first round begins at once."""
        while True:
            self._nudged.clear()
            try:
                await self._fn()
            except CloudError as error:
                _log.warning("the sweep %s was not completed: %s", self.name, error.message)
            except Exception:  # noqa: BLE001 - logged, and the sweep goes on
                _log.exception("the sweep %s failed", self.name)
            try:
                async with asyncio.timeout(self._every):
                    await self._nudged.wait()
            except TimeoutError:
                continue  # nobody nudged: it is time anyway


def upkeep(database: "Database") -> Sweep:
    """Forgets, each ten minutes, events and replayed requests that are past their time."""

    async def forget() -> None:
        await database.write(outbox.forget)
        await database.write(replay.forget)

    return Sweep("upkeep", timedelta(minutes=10).total_seconds(), forget)
