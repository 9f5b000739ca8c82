"""One replica of a service, as a process of its own: `python -m tests.flows.replica URL DIRECTORY`.

Its flow has one effect in the world, which is a directory: a file named by an id derived from the operation.
The step leaves a file `begun-<epoch>`, then waits until `go` is there.
"""

import asyncio
import os
import sys
from pathlib import Path
from typing import Any

from mesh import tables
from mesh.database import Database
from mesh.flow import Flow, FlowEngine, Run, Step
from tests.flows import rehearse

LEASE = 1.0


def plan(directory: Path) -> Flow:
    """The flow over that directory."""

    async def effect(run: Run) -> dict[str, Any]:
        (directory / f"begun-{run.epoch}").write_text(str(os.getpid()))
        while not (directory / "go").exists():  # noqa: ASYNC110 - another process makes it
            await asyncio.sleep(0.02)
        (directory / run.derived("effect")).touch()
        return {"epoch": run.epoch}

    async def undo(run: Run) -> None:
        (directory / run.derived("effect")).unlink(missing_ok=True)

    return rehearse.flow(Step("effect", effect, undo), rehearse.local("row"))


async def serve(url: str, directory: Path) -> None:
    """Work until killed."""
    tables.add_to(rehearse.metadata)
    database = Database.open(url, rehearse.metadata, None)
    engine = FlowEngine(database, [plan(directory)], rehearse.World(), lease=LEASE)
    await engine.start()
    (directory / f"ready-{os.getpid()}").touch()
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(serve(sys.argv[1], Path(sys.argv[2])))
