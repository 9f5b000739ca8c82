"""Keeps the view of candidates as new as the database: our changes at once, other replicas' in a second."""

import asyncio
import logging

from mesh import outbox
from mesh.database import Database
from mesh.errors import CloudError
from services.placement.candidates import Candidates
from services.placement.store import whole

# Changes by other replicas are seen at the latest after so many seconds.
POLL = 1.0
_log = logging.getLogger(__name__)


class Follower:
    """Applies every change of a provider to the view."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._view = Candidates()
        self._revision: int | None = None
        self._committed, self._applied = 0, -1
        self._lock = asyncio.Lock()

    def committed(self) -> None:
        """This process has committed something that the view may not show yet."""
        self._committed += 1

    async def view(self) -> Candidates:
        """The view, with everything that this process has committed until now. Raises UNAVAILABLE."""
        if self._applied < self._committed:
            await self.refresh()
        return self._view

    async def refresh(self) -> None:
        """Read what changed since the last time. Raises UNAVAILABLE."""
        async with self._lock:
            committed = self._committed
            revision, ids, providers = await self._database.read(whole.since, self._revision)
            if ids is None:
                self._view = Candidates()
            for id in set(ids or ()) - {provider.id for provider in providers}:
                self._view.drop(id)
            for provider in providers:
                self._view.put(provider)
            self._revision, self._applied = revision, committed

    async def run(self) -> None:
        """Follow until cancelled."""
        with self._database.nudges.listen(outbox.NUDGE) as listener:
            while True:
                try:
                    await self.refresh()
                except CloudError as error:
                    _log.warning("the view of candidates grows old: %s", error.message)
                await listener.wait(POLL)
