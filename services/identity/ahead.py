"""A token that is made ready while the password is still being hashed, and given to nobody if that is wrong.

To find what a user may have takes a millisecond or so, most of it waiting, which a hash of 20 ms can hide. It
is done ahead only for who has logged in from the same place lately: for all others wrong logins stay the same
work, whether or not there is such a user. What takes a right away meanwhile is later than the token, and so
revokes it.
"""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, Generic, TypeVar

T = TypeVar("T")


class Ahead(Generic[T]):
    """What `prepare` makes of a user, at most once."""

    def __init__(self, prepare: Callable[[Any], Coroutine[Any, Any, T]]) -> None:
        self._prepare = prepare
        self._begun: asyncio.Task[T] | None = None

    def begin(self, user: Any) -> None:
        """Begin now: the user comes from a place that is known."""
        self._begun = asyncio.ensure_future(self._prepare(user))
        self._begun.add_done_callback(_heard)

    def drop(self) -> None:
        """The password was wrong."""
        if self._begun is not None:
            self._begun.cancel()

    async def of(self, user: Any) -> T:
        """It, for the user whose password was right. Raises what `prepare` does."""
        return await (self._begun or self._prepare(user))


def _heard(task: asyncio.Task[Any]) -> None:
    """Whoever waits for it hears of its failure; where the password was wrong nobody does, nor should."""
    if not task.cancelled():
        task.exception()
