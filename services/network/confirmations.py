"""What hosts say that they have, read once for all operations that wait for it."""

import asyncio
import logging
from collections import Counter
from collections.abc import AsyncIterator, Collection, Mapping

from mesh.database import Database
from mesh.errors import CloudError
from services.network.store import hosts
from services.network.store.hosts import Standing

# What hosts told another replica is heard at the latest after this many seconds, and so is that one is away.
POLL = 1.0
_log = logging.getLogger(__name__)


class Confirmations:
    """Tells those who follow hosts how these stand. `run` must be running."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._followed: Counter[str] = Counter()
        self._newest: dict[str, Standing] = {}
        self._news = asyncio.Event()

    async def run(self) -> None:
        """Read whenever a host has confirmed something, and every second, while anybody follows any."""
        with self._database.nudges.listen(hosts.NUDGE) as listener:
            while True:
                if self._followed:
                    await self._read()
                await listener.wait(POLL)

    async def follow(self, host_ids: Collection[str]) -> AsyncIterator[Mapping[str, Standing]]:
        """How the hosts stand, for ever, each time that it was looked at."""
        self._followed.update(host_ids)
        self._database.nudges.notify(hosts.NUDGE)
        try:
            while True:
                await self._news.wait()
                if self._newest.keys() >= set(host_ids):
                    yield self._newest
        finally:
            self._followed.subtract(host_ids)
            self._followed += Counter()  # those that are left

    async def _read(self) -> None:
        try:
            self._newest = await self._database.read(hosts.standing, list(self._followed))
        except CloudError as error:
            _log.debug("hosts' confirmations are not read: %s", error.message)  # the database has told of it
            return
        news, self._news = self._news, asyncio.Event()
        news.set()
