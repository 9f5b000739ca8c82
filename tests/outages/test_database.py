"""PostgreSQL is away in the middle of boots: callers are told so, and nothing is lost when it is back."""

import asyncio
import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.outages.cloud import OutageCloud, Somebody
from tests.processes import children

pytestmark = pytest.mark.asyncio(loop_scope="package")

AWAY_SECONDS = 8


async def test_boots_go_on_when_a_database_that_was_stopped_is_back(
    cloud: OutageCloud, somebody: Somebody
) -> None:
    before = cloud.pids
    begun = await somebody.boots()
    await asyncio.to_thread(cloud.database.stop)
    error = await somebody.refused(within=60)
    assert (error.reason, error.message.split(":")[0]) == ("UNAVAILABLE", "The database does not answer")
    await asyncio.sleep(AWAY_SECONDS)
    await asyncio.to_thread(cloud.database.start)
    await somebody.finds_whole(begun)
    assert cloud.pids == before, "nothing had to be begun again"


@contextmanager
def paused(pid: int) -> Iterator[None]:
    """The process and its children stand still within the block."""
    everybody = [pid, *children(pid)]
    for each in everybody:
        os.kill(each, signal.SIGSTOP)
    try:
        yield
    finally:
        for each in everybody:
            os.kill(each, signal.SIGCONT)


async def test_boots_go_on_when_a_database_that_stood_still_goes_on(
    cloud: OutageCloud, somebody: Somebody
) -> None:
    before = cloud.pids
    begun = await somebody.boots()
    with paused(cloud.database.pid):
        error = await somebody.refused(within=15)
        assert error.reason in ("UNAVAILABLE", "DEADLINE_EXCEEDED")
        await asyncio.sleep(AWAY_SECONDS)
    await somebody.finds_whole(begun)
    assert cloud.pids == before, "nothing had to be begun again"
