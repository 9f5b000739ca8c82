"""A cloud begun process by process, without any host: for more hosts than `weft up` plays, for services
apart from each other, or for another database.
"""

import asyncio
import shutil
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from benchmarks.cloud import Cloud, CloudFailed, free_port
from cli.cloud import furnish, health
from cli.cloud.layout import Layout
from cli.cloud.processes import Process

_PATIENCE = 180.0


@dataclass(frozen=True)
class BareCloud(Cloud):
    """One that runs as these: `control`, or services by their names, and the gateway."""

    begun: tuple[Process, ...]

    @property
    def parts(self) -> tuple[Process, ...]:
        """What was begun."""
        return self.begun


@asynccontextmanager
async def running(*services: str, database: str = "") -> AsyncIterator[BareCloud]:
    """Up within the block, and nothing left after it. `database` is a URL of PostgreSQL's, "" for SQLite."""
    folder = Path(tempfile.mkdtemp(prefix="weft-bench-"))
    layout = Layout(folder / "c", 0, "simulated", free_port())
    layout.write()
    if database:
        with layout.config.open("a") as settings:
            settings.write(f'\n[database]\nurl = "{database}"\n')
    parts = tuple(Process(layout, name) for name in (*services, "gateway"))
    try:
        for part in parts:
            part.start()
        await _well(layout, parts)
        await furnish.furnish(layout)
        yield BareCloud(layout, parts)
    finally:
        await asyncio.gather(*(asyncio.to_thread(part.stop) for part in reversed(parts)))
        await asyncio.to_thread(shutil.rmtree, folder)


async def _well(layout: Layout, parts: tuple[Process, ...]) -> None:
    async with asyncio.timeout(_PATIENCE):
        while any(answer.why for answer in [*await health.services(layout), await health.gateway(layout)]):
            for part in parts:
                if part.pid is None:
                    raise CloudFailed(f"{part.name} ended:\n{part.last_words()}")
            await asyncio.sleep(0.1)
