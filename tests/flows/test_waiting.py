"""Steps that wait for others, and work that is answered for good before it begins."""

import asyncio
from dataclasses import replace

from mesh import journal
from mesh.database import Database
from mesh.errors import CloudError
from mesh.flow import AT_ONCE, Run, Step, cancel
from tests.flows.rehearse import World, begin, ended, engine, flow, remote


async def test_those_who_wait_for_others_leave_their_places_to_those_who_work(database: Database) -> None:
    come = asyncio.Event()

    async def wait(run: Run) -> None:
        if run.input.get("waits"):
            await come.wait()

    plan = flow(Step("wait", wait, waits=True), remote("work"))
    running = await engine(database, plan, World(), concurrency=2)
    waiting = [await database.write(begin, plan, {"waits": True}) for _ in range(5)]
    assert (await ended(database, await database.write(begin, plan))).state == "SUCCEEDED"
    assert {(await database.read(journal.read, id)).state for id in waiting} <= {"PENDING", "RUNNING"}
    come.set()
    assert {(await ended(database, id)).state for id in waiting} == {"SUCCEEDED"}
    await running.stop()


async def test_work_that_is_answered_for_good_is_never_undone(database: Database) -> None:
    passing = CloudError("CAPACITY_EXCEEDED", "not yet")
    world = World({("before do", "a"): [passing, passing]})
    plan = flow(remote("a", attempts=1), remote("b"), commit=AT_ONCE)
    id = await database.write(begin, plan)
    assert not await database.write(cancel, id)
    running = await engine(database, plan, world)
    row = await ended(database, id)
    await running.stop()
    assert (row.state, world.seen["before do", "a"], world.seen["before undo", "a"]) == ("SUCCEEDED", 3, 0)


async def test_what_a_flow_says_of_its_failure_is_what_callers_read(database: Database) -> None:
    def failed(connection: object, run: Run, error: CloudError) -> CloudError:
        return CloudError(error.reason, f"{error.message} And that is all.")

    world = World({("before do", "a"): [CloudError("CAPACITY_EXCEEDED", "Full.")]})
    plan = replace(flow(remote("a")), failed=failed)
    running = await engine(database, plan, world)
    row = await ended(database, await database.write(begin, plan))
    await running.stop()
    failure = journal.failure_of(row)
    assert failure is not None
    assert (row.state, failure.message) == ("FAILED", "Full. And that is all.")
