"""Upkeep: uploads whose process died are ended, and what crashes left on the disk is removed."""

import logging

from mesh.database import Database
from services.image import store
from services.image.contents import Contents

DEAD_UPLOADS_SECONDS = 5.0
LEFTOVERS_SECONDS = 60.0
_log = logging.getLogger(__name__)


async def end_dead_uploads(database: Database) -> None:
    """Images whose uploader gives no sign of life are QUEUED again."""
    for upload in await database.read(store.uploads.dead):
        reason = "The upload was cut: begin it again."
        await database.write(store.uploads.give_up, upload, reason)
        _log.warning("the upload of image %s died; it is QUEUED again", upload.id)


async def remove_leftovers(contents: Contents) -> None:
    """Contents without an image, and spooled files without a writer, are gone."""
    await contents.sweep()
