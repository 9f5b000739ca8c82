"""A worker drives one operation: forward through its steps, or back through their undos, to its end.

A step's STARTED is on disk before it is done, its DONE after; the DONE of one step is written together with
the STARTED of the next, and a local step commits with its journal entry. Each write is made on a copy of the
entry, which replaces it once committed: memory never says more than the disk does, but for a remote effect
just had.
"""

import asyncio
import logging
import random
from collections.abc import Callable
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection

from mesh import caller, clock, deadline, journal, tracing
from mesh.errors import CloudError
from mesh.journal import CancelledFirst, Entry, Failure, Fenced, StepRecord
from mesh.steps import Flow, Reschedule, Run, Step
from mesh.together import to_its_end

if TYPE_CHECKING:
    from mesh.database import Database

RESCHEDULES = 3
_FIRST_PAUSE, _LONGEST_PAUSE = 0.05, 15.0
_log = logging.getLogger(__name__)
Change = Callable[[Connection, Entry], None]


class JournalAway(Exception):
    """The database did not take a write: what is on disk is what counts."""


class Worker:
    """Drives one operation. `on_change` is called with its id after each write."""

    def __init__(
        self,
        database: "Database",
        flow: Flow,
        entry: Entry,
        app: Any,
        lease: timedelta,
        on_change: Callable[[str], None],
    ) -> None:
        self._database, self._flow, self._app, self._on_change = database, flow, app, on_change
        self._lease = lease
        self._loop = asyncio.get_running_loop()
        self.lease_ends = self._loop.time() + lease.total_seconds()
        self._scope: asyncio.Timeout | None = None
        self._grace, self.waits = 0.0, False
        self._wake = asyncio.Event()
        self._troubles = 0
        self._hold(entry)

    def _hold(self, entry: Entry) -> None:
        self._entry, self._dirty = entry, False
        by_name = {record.name: record for record in entry.journal.steps}
        # A flow may have gained steps since the operation began: it gets them.
        entry.journal.steps = [by_name.get(step.name) or StepRecord(step.name) for step in self._flow.steps]
        self._cancelled = entry.cancel_requested

    @property
    def _records(self) -> list[StepRecord]:
        return self._entry.journal.steps

    def cancel(self) -> None:
        """Somebody wants the operation cancelled: stop waiting, and turn back if that is still possible."""
        self._cancelled = True
        self._wake.set()
        if self._scope is not None and not self._scope.expired() and not self._entry.committed:
            cut, end = self._loop.time() + self._grace, self._scope.when()
            self._scope.reschedule(cut if end is None else min(cut, end))

    async def run(self) -> None:
        """Drive the operation to its end, or until another worker owns it."""
        entry = self._entry
        parent = tracing.parent_from(entry.traceparent)
        about = {
            "weft_operation_id": entry.id,
            "weft_operation_kind": entry.kind,
            "weft_target_type": entry.target_type,
            "weft_target_id": entry.target_id,
            "weft_project_id": entry.project_id,
        }
        with caller.acting_as(entry.caller), tracing.span(f"flow {entry.kind}", parent=parent, **about):
            try:
                while self._entry.state in journal.ACTIVE:
                    await self._advance()
            except Fenced:
                _log.warning("operation %s belongs to another worker now", entry.id)

    async def _advance(self) -> None:
        try:
            if self._entry.state == "UNWINDING" or self._entry.journal.unwind_to:
                await self._back()
            else:
                await self._forward()
            self._troubles = 0
        except Fenced:
            raise
        except CancelledFirst:
            await self._reload()
        except Exception as error:  # noqa: BLE001 - the disk says where it is: begin again from there
            if not isinstance(error, JournalAway):  # the database has told of that
                _log.exception("operation %s cannot go on for now", self._entry.id)
            self._troubles += 1
            await self._pause(self._troubles)
            await self._reload()

    async def _forward(self) -> None:
        self._entry.state = "RUNNING"
        position = next((n for n, record in enumerate(self._records) if record.state != "DONE"), None)
        if position is None:
            await self._write()
            return
        stop = self._reason_to_stop()
        if stop is not None:
            self._turn_back(stop)
            return
        step = self._flow.steps[position]
        if not step.needed(self._run(step)):
            passed = self._records[position]
            _finish(passed, None)
            passed.started_at = passed.ended_at
            self._dirty = True
            return
        try:
            await (self._do_local(position) if step.local else self._do_remote(position))
        except (Fenced, CancelledFirst, JournalAway):
            raise
        except Reschedule as wish:
            self._reschedule(wish, self._records[position])
        except Exception as error:  # noqa: BLE001 - whatever a step raises, the operation must end
            # Asked for only now: each write puts new records in the place of the old ones.
            await self._failed_attempt(step, self._records[position], self._typed(error, step.name))

    def _reason_to_stop(self) -> CloudError | None:
        """Before the commit point, a cancellation or the flow's deadline turns it back."""
        if self._entry.committed:
            return None
        if self._cancelled:
            return CloudError("CANCELLED", "The operation was cancelled.", operation_id=self._entry.id)
        if self._entry.left() <= timedelta(0):
            return CloudError("DEADLINE_EXCEEDED", "The operation took longer than it may.")
        return None

    async def _do_local(self, position: int) -> None:
        step = self._flow.steps[position]

        def change(connection: Connection, entry: Entry) -> None:
            record = entry.journal.steps[position]
            _start(record)
            _finish(record, step.do(connection, self._run(step)))
            following = position + 1
            if following < len(self._flow.steps) and not self._flow.steps[following].local:
                _start(entry.journal.steps[following])

        with tracing.span(f"step {step.name}"):
            await self._write(change)

    async def _do_remote(self, position: int) -> None:
        step = self._flow.steps[position]
        if self._records[position].state != "STARTED" or self._dirty or self._loop.time() > self.lease_ends:
            _start(self._records[position])
            await self._write()
        with tracing.span(f"step {step.name}"):
            output = await self._limited(step)
        _finish(self._records[position], output)
        self._dirty = True

    async def _limited(self, step: Step) -> Any:
        """Do a remote step within its time, which a cancellation cuts short."""
        seconds = step.deadline
        if not self._entry.committed:
            seconds = max(0.0, min(seconds, self._entry.left().total_seconds()))
        async with deadline.within(seconds) as scope:
            self._scope, self._grace, self.waits = scope, step.grace, step.waits
            try:
                run = self._run(step)
                run.tell = partial(self._tell, self._flow.position(step.name))
                return await step.do(run)
            finally:
                self._scope, self.waits = None, False

    async def _tell(self, position: int, done_bytes: int, total_bytes: int) -> None:
        """Write how far a step is. A database that is away is told the next time."""
        record = self._records[position]
        record.done_bytes, record.total_bytes = done_bytes, total_bytes
        try:
            await to_its_end(self._write())  # a later write must not be overtaken by this one
        except JournalAway as error:
            _log.debug("operation %s cannot tell how far it is: %s", self._entry.id, error)

    def _run(self, step: Step) -> Run:
        return self._run_of(self._entry, step.name)

    def _run_of(self, entry: Entry, step: str = "") -> Run:
        steps = entry.journal.steps
        return Run(
            operation_id=entry.id,
            target_id=entry.target_id,
            project_id=entry.project_id,
            caller=entry.caller,
            input=entry.input,
            app=self._app,
            epoch=entry.epoch,
            outputs={r.name: r.output or {} for r in steps if r.output or r.state == "DONE"},
            excluded=entry.journal.excluded,
            round=entry.journal.round,
            step=step,
        )

    async def _failed_attempt(self, step: Step, record: StepRecord, error: CloudError) -> None:
        """Try again while that may help; past the commit point, for ever."""
        record.failures += 1
        record.state, record.error = "FAILED", Failure.of(error)
        self._dirty = True
        stop = self._reason_to_stop()
        again = self._entry.committed or (error.retryable and record.failures < step.attempts)
        if stop is None and again:
            await self._pause(record.failures, error.retry_after)
        else:
            self._turn_back(stop or error)

    def _typed(self, error: Exception, what: str) -> CloudError:
        if isinstance(error, CloudError):
            return error
        if isinstance(error, TimeoutError):
            return CloudError("DEADLINE_EXCEEDED", f"{what}: took longer than it may.")
        _log.error("%s of operation %s failed", what, self._entry.id, exc_info=error)
        return CloudError("INTERNAL", f"{what}: failed; the trace id finds why.")

    def _turn_back(self, error: CloudError) -> None:
        self._entry.error = Failure.of(error)
        self._entry.state = "UNWINDING"
        self._entry.journal.unwind_to = ""
        self._dirty = True

    def _reschedule(self, wish: Reschedule, record: StepRecord) -> None:
        held = self._entry.journal
        nowhere = CloudError("OPERATION_FAILED", "No place was left to try.", operation_id=self._entry.id)
        cause = wish.cause or nowhere
        record.state, record.error = "FAILED", Failure.of(cause)
        names = [step.name for step in self._flow.steps]
        if wish.to not in names or self._entry.committed:
            cause = CloudError("INTERNAL", f"{record.name}: cannot go back to {wish.to}.")
        if cause.reason == "INTERNAL" or held.round >= RESCHEDULES:
            self._turn_back(cause)
            return
        held.round += 1
        held.excluded = [*held.excluded, wish.exclude]
        held.unwind_to = wish.to
        self._dirty = True

    async def _back(self) -> None:
        held = self._entry.journal
        first = self._flow.position(held.unwind_to) if held.unwind_to else 0
        touched = [
            n for n in range(first, len(held.steps)) if held.steps[n].state not in ("PENDING", "UNDONE")
        ]
        if touched:
            await self._undo(touched[-1])
        elif held.unwind_to:
            held.unwind_to = ""
            held.steps[first:] = [StepRecord(record.name) for record in held.steps[first:]]
            self._dirty = True
        else:
            await self._write()

    async def _undo(self, position: int) -> None:
        step, record = self._flow.steps[position], self._records[position]
        if step.undo is None or not step.needed(self._run(step)):
            _undone(record)
            self._dirty = True
            return
        try:
            with tracing.span(f"undo {step.name}"):
                await (self._undo_local(position) if step.local else self._undo_remote(position))
        except (Fenced, CancelledFirst, JournalAway):
            raise
        except Exception as error:  # noqa: BLE001 - an undo is tried until it works, whatever it raised
            record = self._records[position]
            record.failures += 1
            record.error = Failure.of(self._typed(error, f"undo of {step.name}"))
            await self._write()
            await self._pause(record.failures)

    async def _undo_local(self, position: int) -> None:
        step = self._flow.steps[position]
        assert step.undo is not None
        undo = step.undo

        def change(connection: Connection, entry: Entry) -> None:
            undo(connection, self._run(step))
            _undone(entry.journal.steps[position])

        await self._write(change)

    async def _undo_remote(self, position: int) -> None:
        step = self._flow.steps[position]
        assert step.undo is not None
        if self._records[position].state != "UNDOING":
            self._records[position].state, self._records[position].failures = "UNDOING", 0
            self._dirty = True
        if self._dirty or self._loop.time() > self.lease_ends:
            await self._write()
        async with deadline.within(step.deadline):
            await step.undo(self._run(step))
        _undone(self._records[position])
        self._dirty = True

    async def _write(self, change: Change | None = None) -> None:
        """One unit: a local change, the operation's end where it is reached, and the journal's entry."""

        def unit(connection: Connection) -> Entry:
            entry = self._entry.copy()
            if change is not None:
                change(connection, entry)
            self._end(connection, entry)
            done = entry.journal.steps[self._flow.commit_position].state == "DONE"
            commits = done and not entry.committed and entry.state in ("RUNNING", "SUCCEEDED")
            entry.committed = entry.committed or commits
            journal.record(connection, entry, self._lease, commits=commits)
            return entry

        begun = self._loop.time()
        try:
            self._entry = await self._database.write(unit)
        except CloudError as error:
            if error.metadata.get("service") == "database":
                raise JournalAway(error.message) from error
            raise
        self._dirty = False
        self.lease_ends = begun + self._lease.total_seconds()
        self._on_change(self._entry.id)

    def _end(self, connection: Connection, entry: Entry) -> None:
        """With the last step done or undone, the operation ends in the same unit."""
        states = {record.state for record in entry.journal.steps}
        if entry.state == "RUNNING" and states == {"DONE"}:
            entry.state = "SUCCEEDED"
            if self._flow.finished is not None:
                self._flow.finished(connection, self._run_of(entry))
        elif entry.state == "UNWINDING" and states <= {"PENDING", "UNDONE"}:
            failure = entry.error or Failure("INTERNAL", "The operation failed.")
            entry.state = "CANCELLED" if failure.reason == "CANCELLED" else "FAILED"
            said = self._flow.failed(connection, self._run_of(entry), failure.error())
            entry.error = Failure.of(said) if isinstance(said, CloudError) else entry.error

    async def _reload(self) -> None:
        """Begin again from what is on disk, however long the database is away."""
        failures = 0
        while True:
            try:
                row = await self._database.read(journal.read, self._entry.id)
                break
            except CloudError:
                failures += 1
                await self._pause(failures)
        if row is None or (row.owner, row.epoch) != (self._entry.owner, self._entry.epoch):
            raise Fenced(self._entry.id)
        self._hold(journal.entry(row))

    async def _pause(self, failures: int, at_least: float | None = None) -> None:
        """Wait longer after each failure; a cancellation ends the wait."""
        seconds = min(_LONGEST_PAUSE, _FIRST_PAUSE * 2 ** min(failures, 20)) * random.uniform(0.5, 1.0)
        try:
            async with asyncio.timeout(max(seconds, at_least or 0.0)):
                await self._wake.wait()
        except TimeoutError:
            return
        self._wake.clear()


def _start(record: StepRecord) -> None:
    if record.state != "STARTED":
        record.started_at = record.started_at or clock.now()
        record.state = "STARTED"
        record.attempts += 1


def _finish(record: StepRecord, output: dict[str, Any] | None) -> None:
    record.state, record.output, record.error, record.ended_at = "DONE", output, None, clock.now()


def _undone(record: StepRecord) -> None:
    record.state, record.ended_at = "UNDONE", clock.now()
