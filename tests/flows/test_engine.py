"""Leases, fencing, cancellation, rescheduling, deadlines: the same on SQLite and PostgreSQL."""

import asyncio
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import select

from mesh import clock, ids, journal
from mesh.database import Database
from mesh.errors import CloudError
from mesh.flow import FlowEngine, Reschedule, Run, Step
from tests.flows.rehearse import (
    Died,
    World,
    begin,
    ended,
    engine,
    flow,
    local,
    marks,
    remote,
    state_of,
    survive,
)

SHORT = 0.4


async def test_many_operations_at_once_all_succeed(database: Database) -> None:
    plan = flow(remote("a"), local("b"), remote("c"))
    world = World()
    running = await engine(database, plan, world, concurrency=20)
    operations = await asyncio.gather(*(database.write(begin, plan) for _ in range(100)))
    rows = [await ended(database, id) for id in operations]
    await running.stop()
    assert {row.state for row in rows} == {"SUCCEEDED"}
    assert len(world.effects) == 200


async def test_a_dead_engines_work_is_taken_over_when_its_lease_is_over(database: Database) -> None:
    plan = flow(remote("a"), remote("b"))
    world = World({("after do", "a"): [Died()]})
    first = await engine(database, plan, world, lease=SHORT)
    second = await engine(database, plan, world, lease=SHORT)
    database.companions["flows"] = first
    id = await database.write(begin, plan)
    assert await asyncio.to_thread(world.died.wait, 10)
    await first.stop(release=False)
    row = await ended(database, id)
    await second.stop()
    assert (row.state, row.epoch) == ("SUCCEEDED", 2)
    assert row.owner == second.owner


async def test_a_living_engines_work_is_not_taken_over_however_long_it_takes(database: Database) -> None:
    async def slow(run: Run) -> None:
        await asyncio.sleep(SHORT * 4)

    plan = flow(Step("slow", slow))
    first = await engine(database, plan, World(), lease=SHORT)
    second = await engine(database, plan, World(), lease=SHORT)
    database.companions["flows"] = first
    row = await ended(database, await database.write(begin, plan))
    await first.stop()
    await second.stop()
    assert (row.state, row.epoch, row.owner) == ("SUCCEEDED", 1, first.owner)


async def test_a_worker_that_lost_its_lease_writes_nothing_more(database: Database) -> None:
    """A process that slept through its lease wakes up in the middle of a step."""
    awake, slept = asyncio.Event(), asyncio.Event()

    async def do(run: Run) -> dict[str, Any]:
        if run.epoch == 1:
            slept.set()
            await awake.wait()
        return {"epoch": run.epoch}

    plan = flow(Step("sleepy", do), local("b"))
    world = World()
    sleeper = FlowEngine(database, [plan], world, lease=30)
    await sleeper.start()
    id = await database.write(begin, plan)
    await slept.wait()
    await database.write(journal.release, sleeper.owner)  # as if its lease had run out
    other = await engine(database, plan, world)
    row = await ended(database, id)
    awake.set()
    await asyncio.gather(*(task for _, task in sleeper._workers.values()))
    after = await database.read(journal.read, id)
    await sleeper.stop()
    await other.stop()
    assert row.revision == after.revision
    assert journal.journal_of(after).steps[0].output == {"epoch": 2}
    assert await database.read(lambda c: len(c.execute(select(marks)).all())) == 1


async def test_an_operation_nobody_took_up_is_found_when_an_engine_starts(database: Database) -> None:
    plan = flow(remote("a"))
    id = await database.write(begin, plan)
    assert (await database.read(journal.read, id)).state == "PENDING"
    running = await engine(database, plan, World())
    assert (await ended(database, id)).state == "SUCCEEDED"
    await running.stop()


async def test_an_engine_that_stops_leaves_its_work_to_the_next_at_once(database: Database) -> None:
    started = asyncio.Event()

    async def wait(run: Run) -> None:
        started.set()
        if run.epoch == 1:
            await asyncio.sleep(60)

    plan = flow(Step("wait", wait))
    first = await engine(database, plan, World())
    id = await database.write(begin, plan)
    await started.wait()
    await first.stop()
    second = await engine(database, plan, World())
    row = await ended(database, id, seconds=5)
    await second.stop()
    assert (row.state, row.epoch) == ("SUCCEEDED", 2)


@pytest.mark.parametrize("at", ["a", "b", "c", "d"])
async def test_cancelling_in_any_step_before_the_commit_point_leaves_nothing(
    database: Database, at: str
) -> None:
    reached, go_on = asyncio.Event(), asyncio.Event()

    def gated(name: str) -> Step:
        step = remote(name)

        async def do(run: Run) -> Any:
            output = await step.do(run)
            if name == at:
                reached.set()
                await go_on.wait()
            return output

        return Step(name, do, step.undo)

    plan = flow(*(gated(name) for name in ("a", "b", "c", "d")))
    world = World()
    running = await engine(database, plan, world)
    id = await database.write(begin, plan)
    await reached.wait()
    assert await database.write(journal.cancel, id)
    database.nudges.notify("flows")
    row = await ended(database, id)
    await running.stop()
    assert row.state == "CANCELLED"
    assert world.effects == set()
    assert await database.read(state_of) == (["BROKEN"], 0)


@pytest.mark.parametrize(("grace", "left"), [(60.0, set()), (0.0, {"late"})])
async def test_a_cancelled_step_with_grace_has_its_answer_before_it_is_undone(
    database: Database, grace: float, left: set[str]
) -> None:
    """What was asked of another party goes on there when who asked no longer listens."""
    reached, undone, elsewhere = asyncio.Event(), asyncio.Event(), []
    world = World()

    async def other_party() -> None:
        if grace:
            await asyncio.sleep(SHORT)
        else:
            await undone.wait()
        world.effects.add("late")

    async def do(run: Run) -> None:
        elsewhere.append(asyncio.create_task(other_party()))
        reached.set()
        await asyncio.shield(elsewhere[0])

    async def undo(run: Run) -> None:
        world.effects.discard("late")
        undone.set()

    plan = flow(Step("ask", do, undo, grace=grace))
    running = await engine(database, plan, world)
    id = await database.write(begin, plan)
    await reached.wait()
    assert await database.write(journal.cancel, id)
    database.nudges.notify("flows")
    row = await ended(database, id)
    await asyncio.gather(*elsewhere)
    await running.stop()
    assert (row.state, world.effects) == ("CANCELLED", left)


async def test_past_the_commit_point_nothing_can_be_cancelled(database: Database) -> None:
    reached, go_on = asyncio.Event(), asyncio.Event()

    async def tail(run: Run) -> None:
        reached.set()
        await go_on.wait()

    plan = flow(remote("a"), Step("tail", tail), commit="a")
    running = await engine(database, plan, World())
    id = await database.write(begin, plan)
    await reached.wait()
    assert not await database.write(journal.cancel, id)
    go_on.set()
    assert (await ended(database, id)).state == "SUCCEEDED"
    await running.stop()


async def test_a_cancellation_that_comes_while_the_commit_step_runs_wins_until_it_is_written(
    database: Database,
) -> None:
    reached, go_on = asyncio.Event(), asyncio.Event()
    world = World()
    step = remote("a")

    async def do(run: Run) -> Any:
        output = await step.do(run)
        reached.set()
        await go_on.wait()
        return output

    plan = flow(Step("a", do, step.undo))
    running = await engine(database, plan, world)
    id = await database.write(begin, plan)
    await reached.wait()
    assert await database.write(journal.cancel, id)
    go_on.set()  # the engine has not been told: it learns it from its own conditional write
    assert (await ended(database, id)).state == "CANCELLED"
    await running.stop()
    assert world.effects == set()


async def test_rescheduling_unwinds_to_the_step_and_excludes(database: Database) -> None:
    claimed: list[list[dict[str, Any]]] = []
    requests: set[str] = set()
    world = World()
    claim = remote("claim")

    async def do_claim(run: Run) -> Any:
        claimed.append(list(run.excluded))
        requests.add(run.request_id)
        await claim.do(run)
        return {"host": f"h{len(run.excluded)}"}

    async def boot(run: Run) -> None:
        host = run.outputs["claim"]["host"]
        if host != "h2":
            raise Reschedule("claim", {"host": host}, CloudError("HOST_UNAVAILABLE", "on purpose"))

    plan = flow(remote("before"), Step("claim", do_claim, claim.undo), remote("port"), Step("boot", boot))
    running = await engine(database, plan, world)
    row = await ended(database, await database.write(begin, plan))
    await running.stop()
    assert row.state == "SUCCEEDED"
    assert claimed == [[], [{"host": "h0"}], [{"host": "h0"}, {"host": "h1"}]]
    assert len(requests) == 3
    assert (world.seen["before do", "before"], world.seen["before undo", "port"]) == (1, 2)
    assert len(world.effects) == 3


async def test_rescheduling_without_end_fails_with_the_last_cause_and_leaves_nothing(
    database: Database,
) -> None:
    async def boot(run: Run) -> None:
        raise Reschedule("claim", {"host": "x"}, CloudError("HOST_UNAVAILABLE", "on purpose"))

    plan = flow(remote("claim"), Step("boot", boot))
    world = World()
    running = await engine(database, plan, world)
    row = await ended(database, await database.write(begin, plan))
    await running.stop()
    assert row.state == "FAILED"
    assert journal.failure_of(row).reason == "HOST_UNAVAILABLE"
    assert world.seen["before do", "claim"] == 4
    assert world.effects == set()


async def test_a_death_while_rescheduling_resumes_it(database: Database) -> None:
    async def boot(run: Run) -> None:
        if not run.excluded:
            raise Reschedule("claim", {"host": "x"})

    plan = flow(remote("claim"), remote("port"), Step("boot", boot))
    world = World({("before undo", "port"): [Died()], ("after undo", "claim"): [Died()]})
    running = await engine(database, plan, world, lease=SHORT)
    id = await database.write(begin, plan)
    assert await survive(database, plan, world, id, running, lease=SHORT) == "SUCCEEDED"
    assert len(world.effects) == 2


async def test_a_step_that_takes_too_long_is_cut_and_tried_again(database: Database) -> None:
    tries: list[int] = []

    async def slow_once(run: Run) -> None:
        tries.append(1)
        if len(tries) == 1:
            await asyncio.sleep(60)

    plan = flow(Step("slow", slow_once, deadline=0.05))
    running = await engine(database, plan, World())
    row = await ended(database, await database.write(begin, plan))
    await running.stop()
    assert (row.state, len(tries)) == ("SUCCEEDED", 2)


async def test_a_step_with_nothing_to_do_is_passed_over_forward_and_back(database: Database) -> None:
    plan = flow(remote("a"), remote("b", when=lambda run: run.input["wanted"]), remote("c"))
    doomed = CloudError("CAPACITY_EXCEEDED", "on purpose")
    for wanted in (False, True):
        for world in (World(), World({("before do", "c"): [doomed]})):
            running = await engine(database, plan, world)
            row = await ended(database, await database.write(begin, plan, {"wanted": wanted}))
            await running.stop()
            succeeded = row.state == "SUCCEEDED"
            assert world.seen["before do", "b"] == wanted
            assert world.seen["before undo", "b"] == (wanted and not succeeded)
            assert len(world.effects) == (2 + wanted if succeeded else 0)


async def test_a_flow_past_its_deadline_unwinds(database: Database) -> None:
    async def stuck(run: Run) -> None:
        await asyncio.sleep(60)

    plan = flow(remote("a"), Step("stuck", stuck, deadline=60), deadline=0.2)
    world = World()
    running = await engine(database, plan, world)
    row = await ended(database, await database.write(begin, plan))
    await running.stop()
    assert journal.failure_of(row).reason == "DEADLINE_EXCEEDED"
    assert world.effects == set()


async def test_a_unit_that_raises_submits_nothing(database: Database) -> None:
    plan = flow(remote("a"))
    world = World()
    running = await engine(database, plan, world)

    def begin_and_fail(connection: Any) -> None:
        begin(connection, plan)
        raise CloudError("IN_USE", "on purpose")

    with pytest.raises(CloudError):
        await database.write(begin_and_fail)
    assert (await ended(database, await database.write(begin, plan))).state == "SUCCEEDED"
    await running.stop()
    assert world.seen["before do", "a"] == 1


async def test_a_clock_that_jumps_an_hour_ahead_loses_no_operation(database: Database) -> None:
    plan = flow(remote("a"), remote("b"), local("c"), deadline=7200)
    world = World()
    running = await engine(database, plan, world)
    first = await database.write(begin, plan)
    real = clock._system
    with clock.told_by(lambda: real() + timedelta(hours=1)):
        second = await database.write(begin, plan)
        states = {(await ended(database, id)).state for id in (first, second)}
    await running.stop()
    assert states == {"SUCCEEDED"}
    assert len(world.effects) == 4


def test_a_flow_with_two_steps_of_one_name_is_refused() -> None:
    with pytest.raises(ValueError, match="distinct"):
        flow(remote("a"), remote("a"))
    assert flow(remote("a"), remote("b")).position("b") == 1


def test_derived_ids_are_the_same_each_time() -> None:
    operation = ids.new()
    assert ids.derived(operation, "port/0") == ids.derived(operation, "port/0")
    assert ids.derived(operation, "port/0") != ids.derived(operation, "port/1")
