"""How often hosts are heard of and looked at: a large cloud must not cost control more than it can give."""

from collections.abc import Collection
from datetime import timedelta

# Seconds from one heartbeat of a host to its next. Where there are many hosts each waits longer, so that all
# of them are heard so often a second at most: a heartbeat costs about a millisecond of processor time.
HEARTBEAT, HEARD_A_SECOND = 5, 100
# A host is DOWN when it was not heard of for so long, or misses three heartbeats where those are far apart.
SILENCE = timedelta(seconds=30)
# As many hosts as one round of a sweep asks: to ask one and compare costs some four milliseconds.
ASKED_A_ROUND = 1000


def heartbeat(hosts: int) -> int:
    """Seconds from one heartbeat of a host to its next, where there are so many hosts."""
    return max(HEARTBEAT, -(-hosts // HEARD_A_SECOND))


def silence(hosts: int) -> timedelta:
    """How long a host may say nothing without being DOWN, where there are so many hosts."""
    return max(SILENCE, 3 * timedelta(seconds=heartbeat(hosts)))


class Rounds:
    """Takes all of a few; of many the next ones each time, until everyone had a turn and it begins again."""

    def __init__(self, most: int = ASKED_A_ROUND) -> None:
        self._most, self._last = most, ""

    def take(self, ids: Collection[str]) -> list[str]:
        """Whose turn it is."""
        ordered = sorted(ids)
        if len(ordered) > self._most:
            ordered = ([id for id in ordered if id > self._last] or ordered)[: self._most]
            self._last = ordered[-1]
        return ordered
