"""Flows: long-running work that survives whatever dies, declared as steps and kept in a journal.

`submit` is part of the unit of work that changes the resource; the engine takes the operation up right after
the commit. An engine leases what it works on; any other takes over what a dead one held.
"""

import asyncio
import fcntl
import logging
import os
from collections.abc import Iterable
from datetime import timedelta
from functools import partial
from typing import IO, Any

from opentelemetry.trace import Tracer
from sqlalchemy import Connection

from mesh import ids, journal, tracing
from mesh.caller import Caller
from mesh.database import Database, after_commit, database_of
from mesh.errors import CloudError
from mesh.journal import Entry
from mesh.steps import AT_ONCE, Flow, Reschedule, Run, Step
from mesh.worker import Worker

__all__ = ["AT_ONCE", "Flow", "FlowEngine", "Reschedule", "Run", "Step", "cancel", "submit"]

NUDGE = "flows"
POLL = 1.0
CONCURRENCY = 256
_COMPANION = "flows"
_log = logging.getLogger(__name__)


def submit(
    connection: Connection,
    flow: Flow,
    *,
    target_id: str,
    project_id: str,
    caller: Caller,
    input: dict[str, Any],
    operation_id: str | None = None,
) -> str:
    """Begin a flow in the unit of work at hand, on behalf of `caller`; the operation's id.

    `input` is what the steps need to know (JSON). Nothing happens before the unit is committed.
    """
    database = database_of(connection)
    engine: FlowEngine | None = database.companions.get(_COMPANION)
    owner = engine.owner if engine is not None and engine.has_room_for(flow) else ""
    made = journal.begin(
        connection,
        flow,
        operation_id=operation_id or ids.new(),
        target_id=target_id,
        project_id=project_id,
        acting=caller,
        input=input,
        traceparent=tracing.traceparent(),
        owner=owner,
        lease=engine.lease if engine is not None else timedelta(0),
    )
    if engine is not None and owner:
        after_commit(connection, partial(engine.adopt, made))
    else:
        after_commit(connection, partial(database.nudges.notify, NUDGE))
    return made.id


def cancel(connection: Connection, operation_id: str) -> bool:
    """Have an operation undone, in the unit of work at hand; False past its commit point or its end."""
    can = journal.cancel(connection, operation_id)
    if can:
        nudges = database_of(connection).nudges
        after_commit(connection, partial(nudges.notify, NUDGE))
        after_commit(connection, partial(nudges.notify, f"operation/{operation_id}"))
    return can


class FlowEngine:
    """Works on the operations of one service's database: at most `concurrency` at a time, beside those that
    only wait (`Step.waits`).

    `lease` (seconds): how long after the death of this engine another takes over; on SQLite a restarted
    engine does at once, for no other can be there. `owner` must be unique among engines.
    """

    def __init__(
        self,
        database: Database,
        flows: Iterable[Flow],
        app: Any,
        *,
        owner: str = "",
        lease: float = 15.0,
        concurrency: int = CONCURRENCY,
        tracer: Tracer | None = None,
    ) -> None:
        self.owner = owner or f"{os.uname().nodename}/{os.getpid()}/{ids.new()}"
        self.lease = timedelta(seconds=lease)
        self._database, self._app, self._concurrency, self._tracer = database, app, concurrency, tracer
        self._flows = {flow.kind: flow for flow in flows}
        self._workers: dict[str, tuple[Worker, asyncio.Task[None]]] = {}
        self._tending: asyncio.Task[None] | None = None
        self._alone: IO[str] | None = None
        self._renewed = 0.0
        self._backlog = False

    async def start(self) -> None:
        """Begin to work, first on what others left."""
        self._alone = self._hold_alone()
        self._database.companions[_COMPANION] = self
        self._tending = asyncio.create_task(self._tend(), name="flow engine")

    async def stop(self, *, release: bool = True) -> None:
        """Stop wherever it is. Unless not to `release`, others may take over at once instead of after the
        lease.
        """
        if self._database.companions.get(_COMPANION) is self:
            del self._database.companions[_COMPANION]
        tasks = [task for _, task in self._workers.values()] + ([self._tending] if self._tending else [])
        self._tending = None
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        if release:
            await self._database.write(journal.release, self.owner)
        if self._alone is not None:
            self._alone.close()
            self._alone = None

    def has_room_for(self, flow: Flow) -> bool:
        """Whether a new operation can be taken up at once."""
        return self._tending is not None and self._busy < self._concurrency and flow.kind in self._flows

    @property
    def _busy(self) -> int:
        return sum(not worker.waits for worker, _ in self._workers.values())

    def adopt(self, entry: Entry) -> None:
        """Work on an operation that is already this engine's on disk."""
        if self._tending is None or entry.id in self._workers:
            return
        worker = Worker(self._database, self._flows[entry.kind], entry, self._app, self.lease, self._changed)
        task = asyncio.create_task(self._work(worker), name=f"flow {entry.kind} {entry.id}")
        self._workers[entry.id] = (worker, task)
        task.add_done_callback(partial(self._ended, entry.id))

    async def _work(self, worker: Worker) -> None:
        if self._tracer is not None:
            tracing.use(self._tracer)
        await worker.run()

    def _ended(self, id: str, task: asyncio.Task[None]) -> None:
        self._workers.pop(id, None)
        if not task.cancelled() and task.exception() is not None:
            _log.error("the worker of operation %s died", id, exc_info=task.exception())
        if self._backlog and self._busy < self._concurrency * 3 // 4:
            self._database.nudges.notify(NUDGE)

    def _changed(self, id: str) -> None:
        self._database.nudges.notify(f"operation/{id}")

    async def _tend(self) -> None:
        """Take up what nobody works on, renew leases, hear of cancellations."""
        with self._database.nudges.listen(NUDGE) as listener:
            while True:
                try:
                    await self._round()
                except CloudError as error:
                    _log.debug("the flow engine waits: %s", error.message)  # the database has told of it
                except Exception:  # noqa: BLE001 - logged; the next round tries again
                    _log.exception("a round of the flow engine failed")
                await listener.wait(min(POLL, self.lease.total_seconds() / 4))

    async def _round(self) -> None:
        if self._workers:
            await self._hear_cancellations()
            await self._renew()
        room = self._concurrency - self._busy
        if room <= 0:
            self._backlog = True
            return
        alone = self._alone is not None
        found = await self._database.read(journal.claimable, list(self._flows), self.owner, alone, room)
        self._backlog = len(found) == room
        wanted = [id for id in found if id not in self._workers]
        if wanted:
            taken = await self._database.write(journal.claim, wanted, self.owner, alone, self.lease)
            for entry in taken:
                self.adopt(entry)

    async def _hear_cancellations(self) -> None:
        for id in await self._database.read(journal.cancelled, self.owner):
            if id in self._workers:
                self._workers[id][0].cancel()

    async def _renew(self) -> None:
        loop = asyncio.get_running_loop()
        begun = loop.time()
        if begun - self._renewed < self.lease.total_seconds() / 3:
            return
        await self._database.write(journal.renew, self.owner, list(self._workers), self.lease)
        self._renewed = begun
        for worker, _ in self._workers.values():
            worker.lease_ends = begun + self.lease.total_seconds()

    def _hold_alone(self) -> IO[str] | None:
        """On SQLite, proof that no other engine works on this file; None where others may."""
        file = self._database.backend.file
        if file is None:
            return None
        lock = file.with_suffix(".flows").open("w")
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            lock.close()
            return None
        return lock
