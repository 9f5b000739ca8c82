"""A volume is made larger, under a running guest too.

step            does                                               undo
extend volume   the host makes it larger; the commit point         -
tell guest      the guest that has it learns its new size          -

A volume is never made smaller, so there is nothing to undo: where the first step fails, the volume keeps the
size that it had for its user, and the next attempt begins from there.
"""

import logging
from typing import Any

from mesh.errors import CloudError
from mesh.flow import Flow, Run, Step
from services.block import store
from services.block.drivers.file import QUICK
from services.block.flows.app import end_volume
from services.block.model import GIB

_log = logging.getLogger(__name__)


async def extend(run: Run) -> None:
    """Make it larger."""
    driver, pool = await run.app.at(run.input["pool_id"])
    await driver.extend(pool, run.target_id, run.input["size_gib"] * GIB)


async def tell_guest(run: Run) -> None:
    """Tell the guest, if one has it. A guest that cannot learn it now sees it at its next start."""
    volume = await run.app.database.peek(store.volumes.get, run.target_id, None)
    driver, pool = await run.app.at(run.input["pool_id"])
    for attachment in volume.attachments:
        try:
            await driver.tell_guest(pool, attachment, run.input["size_gib"] * GIB)
        except CloudError as error:
            if error.retryable:
                raise
            _log.warning("server %s was not told of its volume's size: %s", attachment.server_id, error)


def finished(connection: Any, run: Run) -> None:
    """It is larger."""
    volume = store.volumes.get(connection, run.target_id, None, lock=True)
    end_volume(connection, run, volume.at_rest, size_gib=run.input["size_gib"])


def failed(connection: Any, run: Run, error: CloudError) -> None:
    """It is as it was."""
    volume = store.volumes.get(connection, run.target_id, None, lock=True)
    reason = f"It could not be extended. {error.message}"
    end_volume(connection, run, volume.at_rest, reason, allocated_gib=volume.size_gib)


FLOW = Flow(
    kind="volume.extend",
    target_type="volume",
    steps=(
        Step("extend volume", extend, deadline=QUICK),
        Step("tell guest", tell_guest, deadline=QUICK),
    ),
    deadline=5 * QUICK,
    commit="extend volume",
    failed=failed,
    finished=finished,
)
