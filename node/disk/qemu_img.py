"""Runs storage tools, and says in weft's words why one failed."""

import asyncio
import json
import logging
import os
import shutil
from pathlib import Path
from tempfile import TemporaryFile
from typing import IO, Any

from mesh import tracing
from mesh.errors import CloudError

_log = logging.getLogger(__name__)


async def run(*command: str | Path, near: Path) -> bytes:
    """The output of a tool that works in the directory `near`; it is ended when the caller is cancelled.

    Raises STORAGE_FULL when the disk ran full, else HYPERVISOR_FAILED.
    """
    with tracing.span(f"{command[0]} {command[1]}"), TemporaryFile() as output, TemporaryFile() as complaint:
        # Files, not pipes: a daemon that the tool leaves behind would keep a pipe open.
        process = await asyncio.create_subprocess_exec(
            *map(str, command),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=output,
            stderr=complaint,
            env={**os.environ, "LC_ALL": "C"},
        )
        try:
            status = await process.wait()
        except asyncio.CancelledError:
            process.kill()
            await process.wait()
            raise
        if status:
            raise _failure(command, _read(complaint).decode(errors="replace"), near)
        return _read(output)


async def info(path: Path, format: str) -> dict[str, Any]:
    """What `qemu-img info` says of a file of a known format."""
    output = await run("qemu-img", "info", "-U", "-f", format, "--output=json", path, near=path.parent)
    return json.loads(output)


def full(near: Path, needed_bytes: int) -> CloudError:
    """No room is left on the disk that `near` is on."""
    free = shutil.disk_usage(near).free
    return CloudError(
        "STORAGE_FULL",
        f"The host's disk is full: {free} bytes are left, {needed_bytes} are needed. Use another host.",
        needed_bytes=needed_bytes,
        free_bytes=free,
    )


def need_room(near: Path, needed_bytes: int) -> None:
    """Raises STORAGE_FULL where a copy of so many bytes cannot fit."""
    if shutil.disk_usage(near).free < needed_bytes:
        raise full(near, needed_bytes)


def _read(file: IO[bytes]) -> bytes:
    file.seek(0)
    return file.read()


def _failure(command: tuple[str | Path, ...], complaint: str, near: Path) -> CloudError:
    _log.error("%s %s failed: %s", command[0], command[1], complaint.strip())
    if "No space left" in complaint:
        return full(near, 0)
    message = f"{command[0]} {command[1]} failed on this host; the agent's log says why."
    return CloudError("HYPERVISOR_FAILED", message, detail=f"{command[0]} {command[1]}")
