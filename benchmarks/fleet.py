"""Simulated hosts by the thousand for a cloud, in processes of their own (simulated_hosts.py)."""

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from benchmarks.cloud import Cloud, CloudFailed

# The kernel lets a process have so many descriptors here; a host takes five.
_HOSTS_A_PROCESS = 2500
# Seconds until a host is one, on a busy machine.
_PATIENCE_EACH = 0.5


@asynccontextmanager
async def playing(
    cloud: Cloud, hosts: int, *, first: int = 0, guests: int = 0, watch_only: bool = False
) -> AsyncIterator[dict[str, int]]:
    """Hosts from number `first` on, each with so many guests, within the block; the pids that play them."""
    options = ["--guests", str(guests), *(["--watch-only"] if watch_only else [])]
    children = []
    try:
        for begin in range(first, first + hosts, _HOSTS_A_PROCESS):
            count = min(_HOSTS_A_PROCESS, first + hosts - begin)
            children.append(await _begin(cloud, "--first", str(begin), "--hosts", str(count), *options))
        async with asyncio.timeout(60 + hosts * _PATIENCE_EACH):
            for child in children:
                await _ready(cloud, child)
        yield {f"hosts {number}": child.pid for number, child in enumerate(children)}
    finally:
        for child in children:
            if child.returncode is None:
                child.send_signal(signal.SIGTERM)
        await asyncio.gather(*(child.wait() for child in children))


async def _begin(cloud: Cloud, *words: str) -> asyncio.subprocess.Process:
    environment = {key: value for key, value in os.environ.items() if not key.startswith("WEFT_")}
    environment["WEFT_CONFIG"] = str(cloud.layout.config)
    log = cloud.layout.state / "log" / f"fleet-{words[1]}.log"
    with log.open("ab") as said:
        return await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "benchmarks.simulated_hosts", *words),
            stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE, stderr=said, env=environment,
        )  # fmt: skip


async def _ready(cloud: Cloud, child: asyncio.subprocess.Process) -> None:
    assert child.stdout is not None
    if not await child.stdout.readline():
        said = "".join(log.read_text()[-2000:] for log in (cloud.layout.state / "log").glob("fleet-*"))
        raise CloudFailed(f"simulated hosts ended before they were any:\n{said}")
