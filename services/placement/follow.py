"""Keeps the view of candidates as new as the database: our changes at once, other replicas' in a second.

What claims take, by far the most frequent change, is counted in the view when it is committed, where it comes
right after the revision up to which the view shows everything. All else is read.
"""

import asyncio
import logging
from collections.abc import Iterable

from mesh.database import Database
from mesh.errors import CloudError
from services.placement.candidates import Candidates
from services.placement.model import Taken
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
        self._meanwhile: list[Taken] = []  # since the last look at the database began
        self._lock = asyncio.Lock()

    def committed(self) -> None:
        """This process has committed something that the view may not show yet."""
        self._committed += 1

    def took(self, taken: Iterable[Taken]) -> None:
        """This process has committed these: the view shows them at once, unless other changes came before."""
        for each in taken:
            if self._revision is None or each.revision > self._revision + 1:
                self.committed()
            elif each.revision == self._revision + 1:
                self._view.use(each.provider_id, each.amounts)
                self._meanwhile.append(each)
                self._revision = each.revision

    async def view(self) -> Candidates:
        """The view, with everything that this process has committed until now. Raises UNAVAILABLE."""
        if self._applied < self._committed:
            await self.refresh()
        return self._view

    async def refresh(self) -> None:
        """Read what changed since the last time. Raises UNAVAILABLE."""
        async with self._lock:
            committed = self._committed
            self._meanwhile.clear()
            revision, ids, providers = await self._database.read(whole.since, self._revision)
            if ids is None:
                self._view = Candidates()
            for id in set(ids or ()) - {provider.id for provider in providers}:
                self._view.drop(id)
            for provider in providers:
                self._view.put(provider)
            read = {provider.id for provider in providers}
            for each in self._meanwhile:
                if each.revision > revision and each.provider_id in read:
                    self._view.use(each.provider_id, each.amounts)
            self._revision, self._applied = max(revision, self._revision or 0), committed

    async def run(self) -> None:
        """Follow until cancelled."""
        while True:
            try:
                await self.refresh()
            except CloudError as error:
                _log.warning("the view of candidates grows old: %s", error.message)
            await asyncio.sleep(POLL)
