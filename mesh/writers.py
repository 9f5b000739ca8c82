"""Who runs the units that wait: a thread, or a task of the event loop where the connection can wait on it."""

import asyncio
import contextvars
import logging
import queue
import threading
from collections import deque
from typing import Protocol

from mesh import backends, fibers
from mesh.commits import Committer, Outcome, Unit

# As many units as one COMMIT may carry: beyond, the first to come would wait for the last.
BATCH = 128
_log = logging.getLogger(__name__)


class Writer(Protocol):
    """The one who writes: units that come while a group is under way make up the next."""

    def put(self, unit: Unit) -> None:
        """Queue a unit; its future tells the rest."""

    async def stop(self) -> None:
        """Finish what is queued and let go of the connection."""


def of(backend: backends.Backend) -> Writer:
    """The writer for this kind of database."""
    committer = Committer(backend)
    return TaskWriter(committer) if backend.waits else ThreadWriter(committer, backend.name)


class ThreadWriter:
    """A thread for a connection that blocks."""

    def __init__(self, committer: Committer, name: str) -> None:
        self._committer = committer
        self._queue: queue.SimpleQueue[Unit | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._work, name=f"{name}-writer", daemon=True)
        self._thread.start()

    def put(self, unit: Unit) -> None:
        """Queue a unit."""
        self._queue.put(unit)

    async def stop(self) -> None:
        """Finish what is queued and end the thread."""
        self._queue.put(None)
        await asyncio.to_thread(self._thread.join)

    def _work(self) -> None:
        stopping = False
        while not stopping:
            batch = [self._queue.get()]
            while len(batch) < BATCH and not self._queue.empty():
                batch.append(self._queue.get())
            stopping = None in batch
            units = [unit for unit in batch if unit is not None and not unit.future.cancelled()]
            if units:
                outcome = self._committer.commit(units)
                _wake(outcome)
                for unit in outcome.again:
                    self._queue.put(unit)
        self._committer.close()


class TaskWriter:
    """A task, there for as long as there is something to write, for a connection that waits on the loop."""

    def __init__(self, committer: Committer) -> None:
        self._committer = committer
        self._waiting: deque[Unit] = deque()
        self._task: asyncio.Task[None] | None = None

    def put(self, unit: Unit) -> None:
        """Queue a unit."""
        self._waiting.append(unit)
        if self._task is None:
            # Of nobody's context: each unit has its own.
            self._task = unit.loop.create_task(self._work(), context=contextvars.Context())

    async def stop(self) -> None:
        """Finish what is queued."""
        while self._task is not None:
            await self._task
        self._committer.close()

    async def _work(self) -> None:
        try:
            while self._waiting:
                batch = [self._waiting.popleft() for _ in range(min(BATCH, len(self._waiting)))]
                units = [unit for unit in batch if not unit.future.cancelled()]
                if units:
                    outcome = await self._committed(units)
                    _settle(outcome)
                    self._waiting.extend(outcome.again)
        finally:
            self._task = None

    async def _committed(self, units: list[Unit]) -> Outcome:
        if not self._committer.connected:
            try:
                await asyncio.to_thread(self._committer.connect)
            except Exception as error:  # noqa: BLE001 - it is handed to everybody who waits
                return self._committer.failed(units, error)
        return await fibers.run(self._committer.commit, units)


def _settle(outcome: Outcome, of_loop: asyncio.AbstractEventLoop | None = None) -> None:
    """On the loop: hand out what became of its units."""
    for unit in outcome.done:
        if of_loop in (None, unit.loop):
            unit.succeed()
    for unit, error in outcome.failed:
        if of_loop in (None, unit.loop):
            unit.fail(error)


def _wake(outcome: Outcome) -> None:
    """From a thread: wake each event loop once for all of its units."""
    for loop in {unit.loop for unit in outcome.done} | {unit.loop for unit, _ in outcome.failed}:
        if loop.is_closed():
            _log.warning("a unit of work ended after its event loop was closed")
        else:
            loop.call_soon_threadsafe(_settle, outcome, loop)
