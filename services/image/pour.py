"""One stream of bytes poured into several consumers at once, each in a thread of its own.

Hashes and file writes release the interpreter's lock, so an upload runs at the speed of the slowest of them,
not of their sum. Chunks are never copied: they are gathered into batches and handed on as they came.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from types import TracebackType

Consumer = Callable[[Sequence[bytes]], object]
# Small chunks are gathered up to this size: a hand-over to a thread costs as much as hashing some 50 KiB.
BATCH_BYTES = 1 << 20
# So many batches may wait for the slowest consumer before the source is made to wait.
DEPTH = 4


class Pour:
    """An async context manager; leaving it normally waits until everything was consumed."""

    def __init__(self, consumers: Sequence[Consumer]) -> None:
        self._consumers = [(ThreadPoolExecutor(1, thread_name_prefix="pour"), fn) for fn in consumers]
        self._batch: list[bytes] = []
        self._gathered = 0
        self._under_way: deque[asyncio.Future[list[object]]] = deque()

    async def __aenter__(self) -> "Pour":
        return self

    async def put(self, chunk: bytes) -> None:
        """Hand on a chunk. Raises what a consumer raised."""
        self._batch.append(chunk)
        self._gathered += len(chunk)
        if self._gathered >= BATCH_BYTES:
            await self._hand_on()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if error is None:
                await self._hand_on()
                await self._wait(0)
        finally:
            await asyncio.shield(asyncio.to_thread(self._stop))
            await asyncio.gather(*self._under_way, return_exceptions=True)

    async def _hand_on(self) -> None:
        batch, self._batch, self._gathered = self._batch, [], 0
        loop = asyncio.get_running_loop()
        futures = [loop.run_in_executor(thread, consume, batch) for thread, consume in self._consumers]
        self._under_way.append(asyncio.gather(*futures))
        await self._wait(DEPTH)

    async def _wait(self, depth: int) -> None:
        """Until no more than `depth` batches are under way."""
        while len(self._under_way) > depth:
            await self._under_way.popleft()

    def _stop(self) -> None:
        for thread, _ in self._consumers:
            thread.shutdown(cancel_futures=True)
