"""The first number that nobody has, in ranges of which many are taken, begun at random.

Whoever takes numbers at the same time begins elsewhere and so seldom meets another; and as the search goes
round to where it began, it finds a number as long as there is one.
"""

import random
from collections.abc import Callable, Iterable, Sequence

Range = tuple[int, int]
# Answers the numbers taken between two bounds, both included, in their order.
Taken = Callable[[int, int], Iterable[int]]


def size(ranges: Sequence[Range]) -> int:
    """How many numbers the ranges hold."""
    return sum(high - low + 1 for low, high in ranges)


def somewhere(ranges: Sequence[Range]) -> int:
    """A number of the ranges, each as likely as the others. Raises ValueError when they hold none."""
    offset = random.randrange(size(ranges))
    for low, high in ranges:
        if offset <= high - low:
            return low + offset
        offset -= high - low + 1
    raise AssertionError("unreachable: the offset is within the ranges")


def first_free(ranges: Sequence[Range], start: int, taken: Taken) -> int | None:
    """The first number from `start` on, then from the beginning, that is not taken; None when all are."""
    for low, high in (*_from(ranges, start), *_before(ranges, start)):
        free = _gap(low, high, taken(low, high))
        if free is not None:
            return free
    return None


def _from(ranges: Sequence[Range], start: int) -> list[Range]:
    return [(max(low, start), high) for low, high in ranges if high >= start]


def _before(ranges: Sequence[Range], start: int) -> list[Range]:
    return [(low, min(high, start - 1)) for low, high in ranges if low < start]


def _gap(low: int, high: int, taken: Iterable[int]) -> int | None:
    expected = low
    for number in taken:
        if number > expected:
            break
        expected = number + 1
    return expected if expected <= high else None
