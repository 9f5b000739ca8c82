"""A volume is made in the pool that was chosen for it.

step            does                                                    undo
make volume     the host makes it, from its source; the commit point    the host deletes it

It ends AVAILABLE, or ERROR with nothing of it anywhere.
"""

from typing import Any

from mesh.errors import CloudError
from mesh.flow import Flow, Run, Step
from services.block.drivers.file import COPY
from services.block.flows.app import end_volume


async def make(run: Run) -> dict[str, str]:
    """Make it; how it is laid out."""
    driver, pool = await run.app.at(run.input["pool_id"])
    size, source = run.input["size_bytes"], run.input["source"]
    return {"format": await driver.create(pool, run.target_id, size, source, run.operation_id)}


async def unmake(run: Run) -> None:
    """Delete what there is of it."""
    driver, pool = await run.app.at(run.input["pool_id"])
    await driver.delete(pool, run.target_id)


def finished(connection: Any, run: Run) -> None:
    """It is there."""
    end_volume(connection, run, "AVAILABLE", format=run.outputs["make volume"]["format"] or "raw")


def failed(connection: Any, run: Run, error: CloudError) -> None:
    """It could not be made, and takes no room."""
    end_volume(connection, run, "ERROR", error.message, pool_id="")


FLOW = Flow(
    kind="volume.create",
    target_type="volume",
    steps=(Step("make volume", make, unmake, deadline=COPY),),
    deadline=2 * COPY,
    failed=failed,
    finished=finished,
)
