"""How long the work at hand may still take: set by the interceptor or a flow's step, handed on with each
call.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from contextvars import ContextVar

# Of calls whose client sets none, in seconds.
DEFAULT = 30.0
_ends: ContextVar[float | None] = ContextVar("weft_deadline", default=None)


@asynccontextmanager
async def within(seconds: float | None) -> AsyncIterator[asyncio.Timeout | None]:
    """TimeoutError when the block takes longer; it is cancelled then, and calls in it get what is left. None:
    no limit.
    """
    if seconds is None:
        yield None
        return
    loop = asyncio.get_running_loop()
    end = loop.time() + seconds
    outer = _ends.get()
    token = _ends.set(end if outer is None else min(outer, end))
    try:
        async with asyncio.timeout_at(end) as scope:
            yield scope
    finally:
        _ends.reset(token)


def remaining(limit: float = DEFAULT) -> float:
    """Seconds that a call made now may take: `limit`, or less when the deadline is nearer."""
    end = _ends.get()
    if end is None:
        return limit
    return max(0.0, min(limit, end - asyncio.get_running_loop().time()))
