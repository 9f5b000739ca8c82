"""Operations as callers see them: read, listed, watched and cancelled, the same for every service."""

from collections.abc import AsyncIterator
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, select

from mesh import caller, flow, journal, paging
from mesh.clock import to_proto
from mesh.database import Database
from mesh.errors import not_found, wrong_status
from mesh.journal import Failure, StepRecord
from mesh.tables import operations
from weft.operation.v1 import operation_pb2

# Changes written by another replica are seen at the latest after this many seconds.
_POLL = 1.0


class OperationServicer:
    """The RPCs of every package's OperationService, served from the operations of one database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def GetOperation(
        self, request: operation_pb2.GetOperationRequest, context: Any
    ) -> operation_pb2.Operation:
        """One operation with its steps."""
        return to_operation(await self._database.peek(self._visible, request.id, caller.current()))

    async def ListOperations(
        self, request: operation_pb2.ListOperationsRequest, context: Any
    ) -> operation_pb2.ListOperationsResponse:
        """A page of operations, newest first."""
        rows, token = await self._database.read(self._page, request, caller.current())
        return operation_pb2.ListOperationsResponse(
            operations=[to_operation(row) for row in rows], next_page_token=token
        )

    async def WatchOperation(
        self, request: operation_pb2.WatchOperationRequest, context: Any
    ) -> AsyncIterator[operation_pb2.Operation]:
        """The operation now and at each change, until it has ended."""
        acting = caller.current()
        heartbeat = request.heartbeat.ToMicroseconds() / 1e6 or float("inf")
        sent, quiet = 0, 0.0
        with self._database.nudges.listen(f"operation/{request.id}") as listener:
            while True:
                row = await self._database.peek(self._visible, request.id, acting)
                if row.revision != sent or quiet >= heartbeat:
                    sent, quiet = row.revision, 0.0
                    yield to_operation(row)
                if row.state not in journal.ACTIVE:
                    return
                wait = min(_POLL, heartbeat)
                quiet += 0.0 if await listener.wait(wait) else wait

    async def CancelOperation(
        self, request: operation_pb2.CancelOperationRequest, context: Any
    ) -> operation_pb2.Operation:
        """Ask for it to be undone; the answer shows where it was then."""
        return to_operation(await self._database.write(self._cancel, request.id, caller.current()))

    def whose(self, acting: caller.Caller) -> ColumnElement[bool] | None:
        """The condition for what the caller sees; None for everything."""
        return None if acting.reach is None else operations.c.project_id == acting.reach

    def sees(self, connection: Connection, row: Row[Any], acting: caller.Caller) -> bool:
        """The same of one row."""
        return acting.reach in (None, row.project_id)

    def _cancel(self, connection: Connection, id: str, acting: caller.Caller) -> Row[Any]:
        row = self._visible(connection, id, acting)
        if row.state in ("UNWINDING", "CANCELLED"):
            return row
        if not flow.cancel(connection, id):
            status = "past its commit point" if row.state in journal.ACTIVE else row.state
            raise wrong_status("operation", id, status, ("PENDING", "RUNNING"))
        return self._visible(connection, id, acting)

    def _visible(self, connection: Connection, id: str, acting: caller.Caller) -> Row[Any]:
        row = journal.read(connection, id)
        if row is None or not self.sees(connection, row, acting):
            raise not_found("operation", id)
        return row

    def _page(
        self, connection: Connection, request: operation_pb2.ListOperationsRequest, acting: caller.Caller
    ) -> tuple[list[Row[Any]], str]:
        query, within = select(operations), self.whose(acting)
        if within is not None:
            query = query.where(within)
        if request.target_id:
            query = query.where(operations.c.target_id == request.target_id)
        if request.kind:
            query = query.where(operations.c.kind == request.kind)
        if request.states:
            name = operation_pb2.OperationState.Name
            states = [name(state).removeprefix("OPERATION_STATE_") for state in request.states]
            query = query.where(operations.c.state.in_(states))
        order = [operations.c.created_at.desc(), operations.c.id]
        return paging.page(connection, query, order, request, acting)


def to_operation(row: Row[Any]) -> operation_pb2.Operation:
    """The message of a row."""
    held = journal.journal_of(row)
    return operation_pb2.Operation(
        id=row.id,
        kind=row.kind,
        target_type=row.target_type,
        target_id=row.target_id,
        project_id=row.project_id,
        user_id=row.user_id,
        state=operation_pb2.OperationState.Value(f"OPERATION_STATE_{row.state}"),
        steps=[_step(record) for record in held.steps],
        error=_error(journal.failure_of(row)),
        created_at=to_proto(row.created_at),
        updated_at=to_proto(row.updated_at),
        ended_at=to_proto(row.ended_at),
        deadline=to_proto(row.deadline),
        trace_id=row.traceparent.split("-")[1] if row.traceparent else "",
        revision=row.revision,
    )


def _step(record: StepRecord) -> operation_pb2.Step:
    return operation_pb2.Step(
        name=record.name,
        state=operation_pb2.StepState.Value(f"STEP_STATE_{record.state}"),
        attempts=record.attempts,
        started_at=to_proto(record.started_at),
        ended_at=to_proto(record.ended_at),
        error=_error(record.error),
        done_bytes=record.done_bytes,
        total_bytes=record.total_bytes,
        note=(record.output or {}).get("note", ""),
    )


def _error(failure: Failure | None) -> operation_pb2.OperationError | None:
    if failure is None:
        return None
    return operation_pb2.OperationError(
        reason=failure.reason, message=failure.message, metadata=failure.metadata
    )
