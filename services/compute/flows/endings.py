"""How an operation on a server begins and ends in the server's row: in one transaction with its journal.

A deletion takes a server over from whatever else is under way on it. What ends after that still records what
it made, for the deletion to take away, and leaves status and operation alone.
"""

from collections.abc import Mapping
from typing import Any

from mesh import clock
from mesh.caller import Caller
from mesh.database import Connection, Row
from mesh.errors import CloudError
from mesh.flow import Flow, Run, submit
from services.compute import model
from services.compute.store import servers


def begin(
    connection: Connection,
    row: Row[Any],
    flow: Flow,
    status: str,
    caller: Caller,
    *,
    expected_revision: int = 0,
    changes: Mapping[str, Any] | None = None,
    operation_id: str | None = None,
    **input: Any,
) -> Row[Any]:
    """Submit the flow and put the server into `status`; the row as it is then, with `changes` besides.

    Raises REVISION_MISMATCH.
    """
    operation_id = submit(
        connection,
        flow,
        target_id=row.id,
        project_id=row.project_id,
        caller=caller,
        input={**input, "previous_status": row.status},
        operation_id=operation_id,
    )
    values = {**(changes or {}), "status": status, "operation_id": operation_id}
    return servers.change(connection, row.id, values, expected_revision)


def succeed(
    connection: Connection,
    run: Run,
    status: str = "",
    guest_state: str = "",
    reason: str = "",
    **values: Any,
) -> None:
    """The operation is over and did what it should. Without a `status` the server keeps its own; `reason` is
    what it is to say all the same.
    """
    row = servers.find(connection, run.target_id, lock=True)
    if row is None:
        return
    if guest_state:
        values |= {"guest_state": guest_state, "guest_state_at": clock.now()}
    if row.operation_id == run.operation_id:
        seen = values.get("guest_state", row.guest_state)
        status = status or model.after_failure(row.status, seen)
        reason = reason or (model.loss(seen, "") if status == "ERROR" else "")
        values |= {"operation_id": None, "status": status, "status_reason": reason}
    servers.change(connection, row.id, values)


def fail(connection: Connection, run: Run, error: CloudError, **values: Any) -> None:
    """The operation is over and undone: the server is what its guest shows, and says why.

    What a deletion took it over from has it again, if that is still under way.
    """
    row = servers.find(connection, run.target_id, lock=True)
    if row is None or row.operation_id != run.operation_id:
        return
    other, before = run.input.get("other_operation_id", ""), run.input["previous_status"]
    if other and servers.is_live(connection, other):
        given_back = {"operation_id": other, "status": before}
    else:
        given_back = {"operation_id": None, "status": model.after_failure(before, row.guest_state)}
    servers.change(connection, row.id, {**values, **given_back, "status_reason": error.message})
