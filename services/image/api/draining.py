"""What is left of a stream that has been refused."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress
from typing import Any

_DRAIN = 10.0  # seconds


async def drain(requests: AsyncIterator[Any]) -> None:
    """Hear the uploader out, for a while: gRPC's Python client loses an error that comes while it sends."""
    with suppress(TimeoutError):
        async with asyncio.timeout(_DRAIN):
            async for _ in requests:
                continue
