"""Reserving a volume for a server and making it reachable, and taking that back: our rows and a host's.

The row comes first and goes last, so that whatever is reachable has a row that says so.
"""

from mesh import clock
from mesh.caller import Caller
from mesh.errors import not_found
from services.block import store
from services.block.flows.app import App
from services.block.model import Attachment, Volume
from weft.block.v1.resources_pb2 import Connection


class Attaching:
    """What AttachmentService does with hosts."""

    def __init__(self, app: App) -> None:
        self._app = app

    async def reserve(self, wanted: Attachment, caller: Caller) -> tuple[Attachment, Connection, Volume]:
        """The attachment, how its host reaches the volume, and the volume.

        Raises NOT_FOUND, WRONG_STATUS, IN_USE, ALREADY_EXISTS, HOST_UNAVAILABLE; a reservation whose
        volume could not be made reachable stays, to be tried again or released.
        """
        database = self._app.database
        attachment, volume = await database.write(store.attachments.reserve, wanted, caller.reach)
        driver, pool = await self._app.at(volume.pool_id)
        connection = await driver.connect(pool, attachment, volume.format, volume.size_bytes)
        if await database.peek(store.attachments.find, attachment.id, None) is None:
            # It was released meanwhile, before it was reachable: nobody else would take this back.
            await driver.disconnect(pool, attachment)
            raise not_found("attachment", attachment.id)
        return attachment, connection, volume

    async def release(self, id: str, reach: str | None) -> None:
        """The volume is no longer reachable from the host, and the attachment is gone. None is fine too."""
        database = self._app.database
        attachment = await database.peek(store.attachments.find, id, reach)
        if attachment is None:
            return
        volume = await database.read(store.volumes.get, attachment.volume_id, None)
        driver, pool = await self._app.at(volume.pool_id)
        await driver.disconnect(pool, attachment)
        await database.write(store.attachments.remove, id)


def wanted(id: str, volume_id: str, server_id: str, host_id: str) -> Attachment:
    """An attachment that is asked for."""
    now = clock.now()
    return Attachment(id, volume_id, "", server_id, host_id, "", "RESERVED", now, now, 1)
