"""Replicas that are processes: one is killed or stopped in the middle, another takes its work over."""

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import pytest
from sqlalchemy import MetaData

from mesh import journal
from mesh.database import Database
from tests.flows import rehearse, replica

Start = Callable[[], subprocess.Popen[bytes]]


@pytest.fixture
def start(postgres_schema: str, tmp_path: Path) -> Iterator[Start]:
    """Starts a replica; all are gone after the test."""
    started: list[subprocess.Popen[bytes]] = []

    def begin() -> subprocess.Popen[bytes]:
        command = [sys.executable, "-m", "tests.flows.replica", postgres_schema, str(tmp_path)]
        started.append(subprocess.Popen(command, env={**os.environ, "PYTHONPATH": ":".join(sys.path)}))
        return started[-1]

    yield begin
    for process in started:
        process.kill()
        process.wait()


@pytest.fixture
async def shared(postgres_schema: str, metadata: MetaData) -> AsyncIterator[Database]:
    """The replicas' database, as the test sees it."""
    database = Database.open(postgres_schema, metadata, None)
    yield database
    await database.close()


async def appears(path: Path) -> None:
    """Wait for what another process makes."""

    def look() -> None:
        until = time.monotonic() + 20
        while not path.exists():
            assert time.monotonic() < until, f"{path.name} never came"
            time.sleep(0.02)

    await asyncio.to_thread(look)


def effects(directory: Path) -> list[Path]:
    """Files named by a UUID."""
    return [path for path in directory.iterdir() if len(path.name) == 36]


async def assert_done_once(shared: Database, id: str, directory: Path) -> None:
    row = await shared.read(journal.read, id)
    assert (row.state, row.epoch) == ("SUCCEEDED", 2)
    assert await shared.read(rehearse.state_of) == (["READY"], 1)
    assert len(effects(directory)) == 1


async def test_a_replica_killed_in_the_middle_is_taken_over(
    shared: Database, start: Start, tmp_path: Path
) -> None:
    first = start()
    id = await shared.write(rehearse.begin, replica.plan(tmp_path))
    await appears(tmp_path / "begun-1")
    start()
    first.kill()
    await appears(tmp_path / "begun-2")
    (tmp_path / "go").touch()
    await rehearse.ended(shared, id)
    await assert_done_once(shared, id, tmp_path)


async def test_a_replica_that_was_stopped_past_its_lease_finds_itself_fenced(
    shared: Database, start: Start, tmp_path: Path
) -> None:
    first = start()
    id = await shared.write(rehearse.begin, replica.plan(tmp_path))
    await appears(tmp_path / "begun-1")
    first.send_signal(signal.SIGSTOP)
    start()
    await appears(tmp_path / "begun-2")
    (tmp_path / "go").touch()
    ended = await rehearse.ended(shared, id)
    first.send_signal(signal.SIGCONT)
    await asyncio.sleep(0.5)  # it wakes, does its step once more, and may write nothing
    assert (await shared.read(journal.read, id)).revision == ended.revision
    await assert_done_once(shared, id, tmp_path)
