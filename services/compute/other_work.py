"""What else is under way on a server: stopped, or waited for."""

from mesh.database import Database
from mesh.errors import CloudError
from mesh.operations import OperationServicer
from weft.operation.v1.operation_pb2 import CancelOperationRequest, StepState, WatchOperationRequest


async def cancel(database: Database, operation_id: str) -> None:
    """Ask for an operation to be undone; one that is past its commit point or has ended is left alone."""
    try:
        await OperationServicer(database).CancelOperation(CancelOperationRequest(id=operation_id), None)
    except CloudError as error:
        if error.reason not in ("WRONG_STATUS", "NOT_FOUND"):
            raise


async def reached(database: Database, operation_id: str, step: str) -> None:
    """Wait until an operation has done a step, or has ended. Raises NOT_FOUND."""
    following = OperationServicer(database).WatchOperation(WatchOperationRequest(id=operation_id), None)
    async for operation in following:
        if any(each.name == step and each.state == StepState.STEP_STATE_DONE for each in operation.steps):
            return


async def ended(database: Database, operation_id: str) -> None:
    """Wait until an operation has ended. Raises NOT_FOUND when there is none that the caller may see."""
    following = OperationServicer(database).WatchOperation(WatchOperationRequest(id=operation_id), None)
    _ = [operation.state async for operation in following]
