"""A whole cloud on this machine, as `weft up` makes it, for as long as a benchmark needs it."""

import asyncio
import re
import shutil
import socket
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractContextManager, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from benchmarks import processes
from benchmarks.processes import Spent
from cli.cloud.layout import Layout
from cli.cloud.processes import Process, parts
from tests.processes import children

_WELL = re.compile(r"^ +✓ (\S+) ")


class CloudFailed(Exception):
    """The command line said that it could not do what was asked."""


@dataclass(frozen=True)
class Cloud:
    """One that runs."""

    layout: Layout

    def pids(self) -> dict[str, int]:
        """Its processes by name, with those that they began: Envoy, and what control is several of."""
        found = {part.name: part.pid for part in self.parts if part.pid is not None}
        several = [found[name] for name in ("control", "gateway") if name in found]
        return found | {name: child for pid in several for child, name in children(pid).items()}

    @property
    def control_plane(self) -> list[str]:
        """Of the names of its processes those that are no host's."""
        return [name for name in self.pids() if name not in self.layout.names]

    @property
    def parts(self) -> Sequence[Process]:
        """What was begun."""
        return parts(self.layout)

    def spending(self) -> AbstractContextManager[Spent]:
        """What its processes and this one spend within the block."""
        return processes.spending(self.pids())

    async def up(self) -> dict[str, float]:
        """Start it: seconds from the command to each part being well, and to its end as `command`."""
        layout = self.layout
        options = {"hosts": layout.hosts, "hypervisor": layout.hypervisor, "port": layout.port}
        words = [word for name, value in options.items() for word in (f"--{name}", str(value))]
        return await _weft("up", "--state", str(layout.state), *words, "--detach")

    async def down(self) -> None:
        """Stop it, and delete all of it."""
        await _weft("down", "--state", str(self.layout.state), "--purge")


def prepared(folder: Path, hypervisor: str = "simulated", hosts: int = 1) -> Cloud:
    """A cloud that does not run yet, in a directory of its own below `folder`."""
    return Cloud(Layout(folder / "c", hosts, hypervisor, free_port()))


@asynccontextmanager
async def running(hypervisor: str = "simulated", hosts: int = 1) -> AsyncIterator[Cloud]:
    """Up within the block, and nothing left after it."""
    folder = Path(tempfile.mkdtemp(prefix="weft-bench-"))
    cloud = prepared(folder, hypervisor, hosts)
    try:
        await cloud.up()
        yield cloud
    finally:
        if cloud.layout.state.exists():
            await cloud.down()
        await asyncio.to_thread(shutil.rmtree, folder)


async def _weft(*words: str) -> dict[str, float]:
    """Run the command line as people type it. Raises CloudFailed with its last words."""
    begun = time.perf_counter()
    child = await asyncio.create_subprocess_exec(
        str(Path(sys.executable).with_name("weft")),
        *words,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.PIPE,
    )
    assert child.stderr is not None
    seconds: dict[str, float] = {}
    said: list[str] = []
    async for line in child.stderr:
        said.append(line.decode())
        if found := _WELL.match(said[-1]):
            seconds[found[1]] = time.perf_counter() - begun
    if await child.wait():
        raise CloudFailed(f"weft {' '.join(words)}:\n{''.join(said[-20:])}")
    return seconds | {"command": time.perf_counter() - begun}


def free_port() -> int:
    """A port whose neighbours, 8 and 9 above, are free too."""
    while True:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        if port < 65000 and all(_is_free(port + step) for step in (0, 8, 9)):
            return port


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) != 0
