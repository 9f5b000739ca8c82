"""Resizes that nobody has decided on are confirmed, where the operator has said after which time."""

import logging
from datetime import datetime, timedelta

from mesh import clock
from mesh.caller import Caller, Kind
from mesh.database import Connection
from mesh.settings import Section
from services.compute.flows.app import App
from services.compute.flows.resize_ends import CONFIRM, begin_end
from services.compute.store import servers

_log = logging.getLogger(__name__)
# Nobody asks for it: compute does it on its own account.
_ITSELF = Caller(kind=Kind.SERVICE, service="compute")


class Compute(Section, frozen=True):
    """The table `[compute]`: `confirm_resizes_seconds` after a resize it is confirmed; 0 is never."""

    confirm_resizes_seconds: int = 0


async def confirm(app: App, after_seconds: int) -> None:
    """One round: begin to confirm all that have waited so long."""
    if not after_seconds:
        return
    before = clock.now() - timedelta(seconds=after_seconds)
    for id in await app.database.read(servers.waiting_for_confirmation):
        await app.database.write(_confirm, id, before)


def _confirm(connection: Connection, id: str, before: datetime) -> None:
    """Unless somebody has decided meanwhile."""
    row = servers.find(connection, id, lock=True)
    if row is None or row.status != "VERIFY_RESIZE" or row.operation_id:
        return
    if datetime.fromisoformat(row.resize["at"]) <= before:
        _log.info("nobody has confirmed or reverted the resize of server %s: confirmed", id)
        begin_end(connection, row, _ITSELF, CONFIRM, "CONFIRMING")
