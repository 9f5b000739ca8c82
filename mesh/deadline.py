"""How long the work at hand may still take: set by the interceptor or a flow's step, handed on with each
call.
"""

import asyncio
from contextvars import ContextVar
from types import TracebackType

# Of calls whose client sets none, in seconds.
DEFAULT = 30.0
_ends: ContextVar[float | None] = ContextVar("weft_deadline", default=None)


class within:
    """TimeoutError when the block takes longer; it is cancelled then, and calls in it get what is left. None:
    no limit. The block is given its asyncio.Timeout, or None.
    """

    __slots__ = ("_scope", "_seconds", "_token")

    def __init__(self, seconds: float | None) -> None:
        self._seconds = seconds
        self._scope: asyncio.Timeout | None = None

    async def __aenter__(self) -> asyncio.Timeout | None:
        if self._seconds is None:
            return None
        end = asyncio.get_running_loop().time() + self._seconds
        outer = _ends.get()
        self._token = _ends.set(end if outer is None else min(outer, end))
        self._scope = asyncio.timeout_at(end)
        return await self._scope.__aenter__()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._scope is not None:
            _ends.reset(self._token)
            await self._scope.__aexit__(kind, error, trace)


def remaining(limit: float = DEFAULT) -> float:
    """Seconds that a call made now may take: `limit`, or less when the deadline is nearer."""
    end = _ends.get()
    if end is None:
        return limit
    return max(0.0, min(limit, end - asyncio.get_running_loop().time()))
