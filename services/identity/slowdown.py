"""Repeated failed logins are slowed down, for each user and each place they come from.

Who guesses waits twice as long after each further failure; the user, coming from elsewhere, does not. When
many guess from many places, only places that the user has logged in from before are heard: a stranger can
lock nobody out. Names that nobody has are slowed just the same.
"""

import asyncio
import hashlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from weakref import WeakValueDictionary

from mesh import clock
from mesh.database import Database
from mesh.errors import CloudError
from services.identity.store import failures, login_sources

FREE = 5  # so many failures in a row cost nothing
LONGEST = 60.0  # seconds to wait at most
FORGOTTEN = timedelta(minutes=15)


def subject(user_id: str | None, name: str) -> str:
    """Whom an attempt is counted against: the user, or a digest of what was said."""
    return user_id or hashlib.sha256(name.encode()).hexdigest()


class Slowdown:
    """Counts attempts in the database; one subject and source at a time, so that none slips through."""

    def __init__(self, database: Database, lockout: int = 0) -> None:
        """`lockout`: after so many failures of one user only known places are heard; 0 is never."""
        self._database, self._lockout = database, lockout
        self._locks: WeakValueDictionary[tuple[str, str], asyncio.Lock] = WeakValueDictionary()

    @asynccontextmanager
    async def attempt(self, who: str, source: str) -> AsyncIterator["Attempt"]:
        """Around one guess; tell the `Attempt` how it went. Raises TOO_MANY_ATTEMPTS."""
        lock = self._locks.setdefault((who, source), asyncio.Lock())
        async with lock:
            attempt = Attempt(self._database, who, source)
            await attempt.check(self._lockout)
            yield attempt


class Attempt:
    """One guess of a password or a code."""

    def __init__(self, database: Database, who: str, source: str) -> None:
        self._database, self._who, self._source = database, who, source
        self._failures = 0
        self.familiar = False  # the user has logged in from there within a day

    async def check(self, lockout: int) -> None:
        """Raises TOO_MANY_ATTEMPTS while it is too early, or in a lock-out from a strange place."""
        found = await self._database.peek(failures.standing, self._who, self._source, FORGOTTEN)
        now, count = clock.now(), found.failures
        if found.last_at is not None and now - found.last_at <= FORGOTTEN:
            self._failures = count
            wait = min(LONGEST, 2.0 ** min(count - FREE, 10)) if count >= FREE else 0.0
            left = wait - (now - found.last_at).total_seconds()
            if left > 0:
                raise too_many(left)
        since = now - found.known_at if found.known_at is not None else timedelta.max
        if lockout and found.everywhere >= lockout and since >= login_sources.FORGOTTEN:
            raise too_many(LONGEST)
        self.familiar = since < login_sources.FRESH

    async def failed(self) -> None:
        """The guess was wrong."""
        await self._database.write(failures.add, self._who, self._source, FORGOTTEN)

    async def passed(self) -> None:
        """The guess was right: earlier failures are forgiven."""
        if self._failures:
            await self._database.write(failures.clear, self._who, self._source)

    async def succeeded(self) -> None:
        """The same of a user's password: the place is known from now on."""
        await self.passed()
        if not self.familiar:
            await self._database.write(login_sources.note, self._who, self._source)


def too_many(wait: float) -> CloudError:
    """TOO_MANY_ATTEMPTS; the wait is in seconds."""
    return CloudError(
        "TOO_MANY_ATTEMPTS",
        f"Too many failed logins: wait {wait:.0f} seconds.",
        retry_after=wait,
        retry_after_seconds=f"{wait:.0f}",
    )
