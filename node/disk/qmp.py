"""The little of QEMU's machine protocol that a storage daemon is asked by: JSON lines on a unix socket."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from mesh.errors import CloudError


class Monitor:
    """An open monitor."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer

    async def ask(self, command: str, **arguments: Any) -> Any:
        """What the command answers; `_` in argument names stands for `-`. Raises HYPERVISOR_FAILED."""
        named = {name.replace("_", "-"): value for name, value in arguments.items()}
        self._writer.write(json.dumps({"execute": command, "arguments": named}).encode() + b"\n")
        await self._writer.drain()
        while line := await self._reader.readline():
            said = json.loads(line)
            if "error" in said:
                raise _failed(command, said["error"]["class"])
            if "return" in said:
                return said["return"]
        raise _failed(command, "the daemon ended")


@asynccontextmanager
async def monitor(socket: Path) -> AsyncIterator[Monitor]:
    """The monitor that listens on `socket`, ready for commands."""
    try:
        reader, writer = await asyncio.open_unix_connection(str(socket))
    except OSError as error:
        raise _failed("connect", type(error).__name__) from error
    try:
        await reader.readline()  # the greeting
        opened = Monitor(reader, writer)
        await opened.ask("qmp_capabilities")
        yield opened
    finally:
        writer.close()


def _failed(command: str, detail: str) -> CloudError:
    return CloudError("HYPERVISOR_FAILED", f"The storage daemon refused {command}.", detail=detail)
