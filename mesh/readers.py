"""Reads: functions of a connection, each on a snapshot in which nothing can be written."""

import asyncio
from collections.abc import Awaitable, Callable
from concurrent.futures import Executor
from typing import Any, TypeVar

from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError

from mesh import backends

T = TypeVar("T")


class Readers:
    """Connections for reads that `run` runs; one that is lost is made anew by a thread of `threads`."""

    def __init__(
        self, backend: backends.Backend, run: Callable[..., Awaitable[Any]], threads: Executor
    ) -> None:
        self._backend, self._run, self._threads = backend, run, threads
        self._places = asyncio.Semaphore(backend.readers)
        self._free: list[Connection] = []
        self._closed = False

    async def look(self, fn: Callable[..., T], args: tuple[Any, ...], kw: dict[str, Any]) -> T:
        """Answer what `fn` does. Raises CloudError UNAVAILABLE when the database is in trouble."""
        async with self._places:
            try:
                try:
                    connection = self._free.pop() if self._free else await self._connected()
                    return await self._run(self._look, connection, fn, args, kw)
                except DBAPIError as error:
                    if not error.connection_invalidated:
                        raise
                # The server closed an idle connection, and maybe all: a read is safe to repeat on a new one.
                return await self._run(self._look, await self._connected(), fn, args, kw)
            except Exception as error:
                if backends.is_trouble(error):
                    raise backends.translate(error, self._backend.reading) from error
                raise

    async def _connected(self) -> Connection:
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._threads, self._backend.connect_reader)

    def _look(self, connection: Connection, fn: Callable[..., T], args: Any, kw: Any) -> T:
        try:
            found: T = self._backend.look(connection, fn, args, kw)
            self._backend.reading.over()
            return found
        finally:
            if connection.invalidated or self._closed:
                connection.close()
            else:
                self._free.append(connection)

    def close(self) -> None:
        """Let go of every connection; of those in use when they are not any more."""
        self._closed = True
        while self._free:
            self._free.pop().close()
