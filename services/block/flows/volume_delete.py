"""A volume is deleted, with its snapshots where that was asked for.

step               does                                           undo
delete snapshots   the host forgets them                          -
delete volume      the host deletes it; the commit point          -

It ends gone; or ERROR where its host would not or did not answer, and may then be deleted again. So do its
snapshots.
"""

from typing import Any

from mesh.errors import CloudError
from mesh.flow import Flow, Run, Step
from services.block import store
from services.block.drivers.file import QUICK
from services.block.flows.app import end_snapshot, end_volume


def has_snapshots(run: Run) -> bool:
    """Whether any are to go with it."""
    return bool(run.input["pool_id"] and run.input.get("snapshot_ids"))


async def delete_snapshots(run: Run) -> None:
    """Forget what there is of them."""
    driver, pool = await run.app.at(run.input["pool_id"])
    for snapshot_id in run.input["snapshot_ids"]:
        await driver.delete_snapshot(pool, run.target_id, snapshot_id)


async def delete(run: Run) -> None:
    """Delete what there is of it; one that could never be made is nowhere."""
    if run.input["pool_id"]:
        driver, pool = await run.app.at(run.input["pool_id"])
        await driver.delete(pool, run.target_id)


def finished(connection: Any, run: Run) -> None:
    """It is gone."""
    for snapshot_id in run.input.get("snapshot_ids", ()):
        store.snapshots.remove(connection, snapshot_id)
    store.volumes.remove(connection, run.target_id)


def failed(connection: Any, run: Run, error: CloudError) -> None:
    """They may or may not be there still."""
    why = f"It could not be deleted. {error.message}"
    for snapshot_id in run.input.get("snapshot_ids", ()):
        end_snapshot(connection, run, "ERROR", why, id=snapshot_id)
    end_volume(connection, run, "ERROR", why)


FLOW = Flow(
    kind="volume.delete",
    target_type="volume",
    steps=(
        Step("delete snapshots", delete_snapshots, deadline=10 * QUICK, attempts=5, when=has_snapshots),
        Step("delete volume", delete, deadline=QUICK, attempts=5),
    ),
    deadline=20 * QUICK,
    failed=failed,
    finished=finished,
)
