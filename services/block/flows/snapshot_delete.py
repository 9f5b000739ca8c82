"""A snapshot is deleted.

step              does                                         undo
delete snapshot   the host forgets it; the commit point        -

It ends gone; or ERROR where its host would not or did not answer, and may then be deleted again.
"""

from typing import Any

from mesh.errors import CloudError
from mesh.flow import Flow, Run, Step
from services.block import store
from services.block.drivers.file import QUICK
from services.block.flows.app import end_snapshot


async def delete(run: Run) -> None:
    """Forget what there is of it; one that could never be taken is nowhere."""
    if run.input["pool_id"]:
        driver, pool = await run.app.at(run.input["pool_id"])
        await driver.delete_snapshot(pool, run.input["volume_id"], run.target_id)


def finished(connection: Any, run: Run) -> None:
    """It is gone."""
    store.snapshots.remove(connection, run.target_id)


def failed(connection: Any, run: Run, error: CloudError) -> None:
    """It may or may not be there still."""
    end_snapshot(connection, run, "ERROR", f"It could not be deleted. {error.message}")


FLOW = Flow(
    kind="snapshot.delete",
    target_type="snapshot",
    steps=(Step("delete snapshot", delete, deadline=QUICK, attempts=5),),
    deadline=10 * QUICK,
    failed=failed,
    finished=finished,
)
