"""The cable between control and one host: proxies that carry every byte, until they hold them back.

What is held back is not lost, as TCP would send it again: it arrives when the cable is mended, also when who
sent it has gone away long ago. Nobody is told that the other side has closed meanwhile, and nobody new gets
through.
"""

import asyncio
from contextlib import suppress
from itertools import cycle

BOTH, TO_HOST, TO_CONTROL = "both ways", "towards the host", "towards control"
_CHUNK = 1 << 16


class Cable:
    """All connections between control and one host."""

    def __init__(self) -> None:
        self._open = {TO_HOST: asyncio.Event(), TO_CONTROL: asyncio.Event()}
        self._servers: list[asyncio.Server] = []
        self._tasks: set[asyncio.Task[None]] = set()
        self.mend()

    def cut(self, way: str) -> None:
        """Hold back what goes that way, or BOTH ways."""
        for each, gate in self._open.items():
            if way in (BOTH, each):
                gate.clear()

    def mend(self) -> None:
        """Let everything through."""
        for gate in self._open.values():
            gate.set()

    async def carry(self, way: str, listen: str, targets: list[str]) -> None:
        """Carry connections from the address `listen` to the first of `targets` that takes them, in turn.

        Addresses are as in the settings: host:port or unix:/path. `way` is that of the connections.
        """
        turns = cycle(range(len(targets)))

        async def accepted(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            begin = next(turns)
            await self._connect(way, (reader, writer), [*targets[begin:], *targets[:begin]])

        if listen.startswith("unix:"):
            server = await asyncio.start_unix_server(accepted, listen.removeprefix("unix:"))
        else:
            host, _, port = listen.rpartition(":")
            server = await asyncio.start_server(accepted, host, int(port))
        self._servers.append(server)

    async def close(self) -> None:
        """End every connection."""
        for server in self._servers:
            server.close()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _connect(self, way: str, near: tuple, targets: list[str]) -> None:  # type: ignore[type-arg]
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        back = TO_HOST if way == TO_CONTROL else TO_CONTROL
        await self._through(way)
        far = await _dial(targets)
        await self._through(back)
        if far is None:
            near[1].close()
            return
        await asyncio.gather(self._pump(way, near[0], far[1]), self._pump(back, far[0], near[1]))

    async def _through(self, way: str) -> None:
        await self._open[way].wait()

    async def _pump(self, way: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError):
            while data := await reader.read(_CHUNK):
                await self._through(way)
                if writer.is_closing():  # uvloop takes a write then for a mistake
                    break
                writer.write(data)
                await writer.drain()
        await self._through(way)
        writer.close()


async def _dial(targets: list[str]) -> tuple[asyncio.StreamReader, asyncio.StreamWriter] | None:
    for target in targets:
        with suppress(OSError):
            if target.startswith("unix:"):
                return await asyncio.open_unix_connection(target.removeprefix("unix:"))
            host, _, port = target.rpartition(":")
            return await asyncio.open_connection(host, int(port))
    return None
