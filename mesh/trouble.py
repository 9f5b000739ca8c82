"""What the log says of a database that fails: that it does, how often since, and that it is over.

Thousands of units may fail in one outage, each for the same cause: one line a minute tells as much.
"""

import logging
import threading
import time
from collections.abc import Callable

AGAIN = 60.0  # seconds between two lines
_log = logging.getLogger(__name__)


class Trouble:
    """Of one kind of work (`what`: reading, writing), which any thread may report on."""

    def __init__(self, what: str, clock: Callable[[], float] = time.monotonic) -> None:
        self._what, self._clock = what, clock
        self._lock = threading.Lock()
        self._failures, self._began, self._said = 0, 0.0, 0.0

    def met(self, error: BaseException) -> None:
        """It failed: said at the first time, and then once in a while."""
        with self._lock:
            self._failures += 1
            now = self._clock()
            if self._failures == 1:
                self._began = self._said = now
                _log.warning("the database failed at %s: %s", self._what, _line(error))
            elif now - self._said >= AGAIN:
                self._said = now
                failures, since = self._failures, now - self._began
                _log.warning(
                    "the database has failed %d times at %s in %.0f s: %s",
                    *(failures, self._what, since, _line(error)),
                )

    def over(self) -> None:
        """It succeeded."""
        if not self._failures:
            return
        with self._lock:
            failures, self._failures = self._failures, 0
            if failures:
                took = self._clock() - self._began
                _log.warning(
                    "the database works again at %s, after %d failures in %.0f s", self._what, failures, took
                )


def _line(error: BaseException) -> str:
    """The driver's own words, without statements or their values."""
    original = getattr(error, "orig", None) or error
    first = next(iter(str(original).splitlines()), "")
    return f"{type(original).__name__}: {first}"
