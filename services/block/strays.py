"""Attachments that no server lists and no guest has, and exports without an attachment.

Compute says who has an attachment, and says so only when every host that may know was asked. What nobody has
is superseded: it is released, or ended. What a guest has, or what is not certain, is told to the operator: to
take a disk from under a guest destroys what is on it.
"""

import logging
from collections.abc import Mapping, Sequence
from typing import Any

from mesh import clock, moment
from mesh.errors import CloudError
from mesh.warnings import Finding, Warnings
from services.block import store
from services.block.attaching import Attaching
from services.block.drivers.driver import Driver, Reach
from services.block.flows.app import App
from services.block.model import GRACE, Attachment, Pool
from services.block.sources import Elsewhere

# As many as FindAttachments takes.
_PORTION = 1000
_log = logging.getLogger(__name__)


class Strays:
    """The sweeps."""

    def __init__(self, app: App, attaching: Attaching, elsewhere: Elsewhere, warnings: Warnings) -> None:
        self._app = app
        self._attaching = attaching
        self._elsewhere = elsewhere
        self._warnings = warnings

    async def attachments(self) -> None:
        """Release attachments that nobody has, unchanged for some minutes."""
        old = await self._app.database.read(store.attachments.settled_before, clock.now() - GRACE)
        by_host: dict[str, list[Attachment]] = {}
        for attachment in old:
            by_host.setdefault(attachment.host_id, []).append(attachment)
        found: list[Finding] = []
        for host_id, some in by_host.items():
            for begin in range(0, len(some), _PORTION):
                found += await self._attachments(host_id, some[begin : begin + _PORTION])
        await self._warnings.tell("attachments", found)

    async def _attachments(self, host_id: str, some: Sequence[Attachment]) -> list[Finding]:
        holders, doubt = await self._holders([attachment.id for attachment in some], host_id)
        if doubt:  # of those that a server lists nothing needs to be known
            return [_doubtful(attachment, doubt) for attachment in some if await self._is_gone(attachment)]
        for attachment in (each for each in some if each.id not in holders):
            _log.warning("attachment %s is nobody's any more: released", attachment.id)
            await self._attaching.release(attachment.id, None)
        by_guests = {a.id: a for a in some if a.id in holders and not holders[a.id].listed}
        return [_unlisted(by_guests[id], holders[id]) for id in by_guests]

    async def exports(self) -> None:
        """End exports that have no attachment and that nobody uses, begun some minutes ago."""
        found: list[Finding] = []
        now = await self._app.database.read(moment.read)
        for pool in await self._app.database.read(store.pools.all_):
            driver = self._app.drivers[pool.backend]
            if pool.is_alive(now):
                found += await self._exports(driver, pool)
        await self._warnings.tell("exports", found)

    async def _exports(self, driver: Driver, pool: Pool) -> list[Finding]:
        try:
            reaches = await driver.reaches(pool)
        except CloudError as error:
            _log.warning("the exports of pool %s could not be compared: %s", pool.id, error.message)
            return []
        # Rows are read after the exports: a row comes before its export, and goes after it.
        known = await self._app.database.read(store.attachments.among, [r.attachment_id for r in reaches])
        before = clock.now() - GRACE
        strays = [r for r in reaches if r.attachment_id not in known and r.begun_at < before]
        if not strays:
            return []
        holders, doubt = await self._holders([reach.attachment_id for reach in strays])
        for reach in (each for each in strays if not doubt and each.attachment_id not in holders):
            _log.warning("export %s of volume %s has no attachment", reach.attachment_id, reach.volume_id)
            await driver.cut(pool, reach)
        kept = [reach for reach in strays if doubt or reach.attachment_id in holders]
        return [_kept(reach, pool, holders, doubt) for reach in kept]

    async def _holders(self, ids: Sequence[str], host_id: str = "") -> tuple[Mapping[str, Any], str]:
        """Who has these, and why that is not certain."""
        try:
            return await self._elsewhere.holders(ids, host_id), ""
        except CloudError as error:
            if not error.retryable:
                raise
            return {}, error.message

    async def _is_gone(self, attachment: Attachment) -> bool:
        try:
            await self._elsewhere.knows_server(attachment.server_id)
        except CloudError as error:
            return error.reason == "NOT_FOUND"
        return False


def _unlisted(attachment: Attachment, holder: Any) -> Finding:
    message = (
        f"The guest of server {holder.server_id} has volume {attachment.volume_id}, but no server lists it: "
        "destroy that guest, or take the volume from it, and it is released."
    )
    return Finding("STALE_ATTACHMENT", "volume", attachment.volume_id, message, holder.host_id)


def _doubtful(attachment: Attachment, doubt: str) -> Finding:
    message = (
        f"Volume {attachment.volume_id} is attached to server {attachment.server_id}, which is gone, and "
        f"it is not known whether its guest is too: {doubt}"
    )
    return Finding("STALE_ATTACHMENT", "volume", attachment.volume_id, message, attachment.host_id)


def _kept(reach: Reach, pool: Pool, holders: Mapping[str, Any], doubt: str) -> Finding:
    holder = holders.get(reach.attachment_id)
    why = f"server {holder.server_id} uses it." if holder else doubt
    message = f"Volume {reach.volume_id} is exported as {reach.attachment_id} without an attachment: {why}"
    return Finding("UNKNOWN_EXPORT", "volume", reach.volume_id, message, pool.host_id)
