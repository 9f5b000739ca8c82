"""A volume is kept as it is now.

step            does                                               undo
take snapshot   the host keeps its state; the commit point         the host forgets it

It ends AVAILABLE, or ERROR with nothing of it anywhere.
"""

from typing import Any

from mesh.errors import CloudError
from mesh.flow import Flow, Run, Step
from services.block.drivers.file import COPY
from services.block.flows.app import end_snapshot


async def take(run: Run) -> None:
    """Keep the volume's state."""
    driver, pool = await run.app.at(run.input["pool_id"])
    await driver.snapshot(pool, run.input["volume_id"], run.target_id)


async def forget(run: Run) -> None:
    """Forget what there is of it."""
    driver, pool = await run.app.at(run.input["pool_id"])
    await driver.delete_snapshot(pool, run.input["volume_id"], run.target_id)


def finished(connection: Any, run: Run) -> None:
    """It is there."""
    end_snapshot(connection, run, "AVAILABLE")


def failed(connection: Any, run: Run, error: CloudError) -> None:
    """It could not be taken, and takes no room."""
    end_snapshot(connection, run, "ERROR", error.message, pool_id="")


FLOW = Flow(
    kind="snapshot.create",
    target_type="snapshot",
    steps=(Step("take snapshot", take, forget, deadline=COPY),),
    deadline=2 * COPY,
    failed=failed,
    finished=finished,
)
