"""One service as a process of its own, and a client that is another process to it."""

import asyncio
import os
import shutil
import signal
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

from cli.cloud.layout import Layout
from cli.cloud.processes import PATIENCE
from cli.serve import command
from mesh.certificates import Authority, Identity
from mesh.channel import Client, connect
from mesh.errors import CloudError


@asynccontextmanager
async def service(
    name: str, who: Identity, asked: Callable[[Client], Awaitable[object]]
) -> AsyncIterator[tuple[Client, int]]:
    """The service, once it answers what is `asked`; a client with the certificate of `who`, and its pid."""
    folder = Path(tempfile.mkdtemp(prefix="weft-bench-"))
    layout = Layout(folder)
    layout.write()
    authority = Authority.open_or_create(layout.state / "pki", layout.settings.cloud.name)
    leaf, peer = authority.issue(who), Identity.service(name).dns
    environment = {**os.environ, "WEFT_CONFIG": str(layout.config)}
    child = await asyncio.create_subprocess_exec(*command(name), env=environment)
    try:
        async with connect(layout.socket(name), layout.ca, leaf=leaf, server_name=peer) as client:
            await _answers(client, asked)
            yield client, child.pid
    finally:
        child.send_signal(signal.SIGTERM)
        await asyncio.wait_for(child.wait(), PATIENCE)
        await asyncio.to_thread(shutil.rmtree, folder)


async def _answers(client: Client, asked: Callable[[Client], Awaitable[object]]) -> None:
    """Wait until it does. Raises CloudError when it does not for long."""
    for attempt in range(100):
        try:
            await asked(client)
            return
        except CloudError as error:
            if error.reason != "UNAVAILABLE" or attempt == 99:
                raise
            await asyncio.sleep(0.2)
