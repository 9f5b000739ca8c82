"""Upkeep: reservations that nobody will ever confirm or release are released."""

import logging

from mesh import clock
from mesh.errors import CloudError
from services.block import store
from services.block.attaching import Attaching
from services.block.flows.app import App
from services.block.model import RESERVATION_LIFE
from services.block.sources import Elsewhere

STALE_SECONDS = 60.0
STRAY_SECONDS = 300.0
_log = logging.getLogger(__name__)


async def release_stale(app: App, attaching: Attaching, elsewhere: Elsewhere) -> None:
    """Old reservations for servers that compute does not know are released.

    Compute's flows do so themselves, however often it dies; this is for what was reserved by a call that
    arrived after its flow was undone, or by a compute whose database was lost.
    """
    moment = clock.now() - RESERVATION_LIFE
    for attachment in await app.database.read(store.attachments.reserved_before, moment):
        try:
            await elsewhere.knows_server(attachment.server_id)
        except CloudError as error:
            if error.reason != "NOT_FOUND":
                raise
            _log.warning("attachment %s was reserved for a server that is not there", attachment.id)
            await attaching.release(attachment.id, None)
