"""Operations as callers see them: read, listed, watched, cancelled."""

import asyncio
from typing import Any

import pytest

from mesh import caller, ids
from mesh.caller import Caller, Kind
from mesh.database import Database
from mesh.errors import CloudError
from mesh.flow import Run, Step
from mesh.operations import OperationServicer
from tests.flows.rehearse import USER, World, begin, ended, engine, flow, local, remote
from weft.operation.v1 import operation_pb2 as pb

STRANGER = Caller(kind=Kind.USER, user_id="x", project_id="other", scope="project")
OPERATOR = Caller(kind=Kind.USER, user_id="root", scope="system")


async def test_an_operation_shows_its_steps_and_their_end(database: Database) -> None:
    plan = flow(remote("a"), local("b"))
    running = await engine(database, plan, World())
    id = await database.write(begin, plan)
    await ended(database, id)
    await running.stop()
    with caller.acting_as(USER):
        found = await OperationServicer(database).GetOperation(pb.GetOperationRequest(id=id), None)
    assert (found.kind, found.state) == ("test.make", pb.OPERATION_STATE_SUCCEEDED)
    assert [(step.name, step.state, step.attempts) for step in found.steps] == [
        ("a", pb.STEP_STATE_DONE, 1),
        ("b", pb.STEP_STATE_DONE, 1),
    ]
    assert found.HasField("ended_at")


async def test_a_failed_operation_says_why(database: Database) -> None:
    plan = flow(remote("a"), remote("b"))
    error = CloudError("NO_VALID_HOST", "nobody", hosts=3, filters="ram=3")
    running = await engine(database, plan, World({("before do", "b"): [error]}))
    id = await database.write(begin, plan)
    await ended(database, id)
    await running.stop()
    with caller.acting_as(USER):
        found = await OperationServicer(database).GetOperation(pb.GetOperationRequest(id=id), None)
    assert found.state == pb.OPERATION_STATE_FAILED
    assert (found.error.reason, found.error.metadata["filters"]) == ("NO_VALID_HOST", "ram=3")
    assert [step.state for step in found.steps] == [pb.STEP_STATE_UNDONE] * 2


@pytest.mark.parametrize(("who", "sees"), [(USER, True), (OPERATOR, True), (STRANGER, False)])
async def test_another_projects_operation_is_not_found(database: Database, who: Caller, sees: bool) -> None:
    id = await database.write(begin, flow(remote("a")))
    servicer = OperationServicer(database)
    with caller.acting_as(who):
        listed = await servicer.ListOperations(pb.ListOperationsRequest(), None)
        assert len(listed.operations) == sees
        if sees:
            assert (await servicer.GetOperation(pb.GetOperationRequest(id=id), None)).id == id
            return
        for call in (
            servicer.GetOperation(pb.GetOperationRequest(id=id), None),
            servicer.CancelOperation(pb.CancelOperationRequest(id=id), None),
        ):
            with pytest.raises(CloudError) as caught:
                await call
            assert caught.value.reason == "NOT_FOUND"


async def test_operations_are_listed_newest_first_page_by_page_and_by_state(database: Database) -> None:
    made = [await database.write(begin, flow(remote("a"))) for _ in range(5)]
    servicer = OperationServicer(database)
    with caller.acting_as(USER):
        first = await servicer.ListOperations(pb.ListOperationsRequest(page_size=3), None)
        again = pb.ListOperationsRequest(page_size=3, page_token=first.next_page_token)
        second = await servicer.ListOperations(again, None)
        none = await servicer.ListOperations(
            pb.ListOperationsRequest(states=[pb.OPERATION_STATE_FAILED]), None
        )
    assert [o.id for o in [*first.operations, *second.operations]] == made[::-1]
    assert second.next_page_token == ""
    assert len(none.operations) == 0


async def test_a_watch_tells_of_each_change_and_ends_with_the_operation(database: Database) -> None:
    gate = asyncio.Event()

    async def wait(run: Run) -> None:
        await gate.wait()

    plan = flow(Step("wait", wait), remote("b"))
    running = await engine(database, plan, World())
    id = await database.write(begin, plan)
    states = []
    with caller.acting_as(USER):
        async for operation in OperationServicer(database).WatchOperation(
            pb.WatchOperationRequest(id=id), None
        ):
            states.append(operation.state)
            gate.set()
    await running.stop()
    assert states[0] == pb.OPERATION_STATE_RUNNING
    assert states[-1] == pb.OPERATION_STATE_SUCCEEDED


async def test_cancelling_through_the_api_undoes_and_may_be_sent_twice(database: Database) -> None:
    reached = asyncio.Event()

    async def wait(run: Run) -> None:
        reached.set()
        await asyncio.sleep(60)

    world = World()
    plan = flow(remote("a"), Step("wait", wait, deadline=60), deadline=120)
    running = await engine(database, plan, world)
    id = await database.write(begin, plan)
    await reached.wait()
    servicer = OperationServicer(database)
    with caller.acting_as(USER):
        await servicer.CancelOperation(pb.CancelOperationRequest(id=id), None)
        row = await ended(database, id)
        again = await servicer.CancelOperation(pb.CancelOperationRequest(id=id), None)
    await running.stop()
    assert (row.state, again.state) == ("CANCELLED", pb.OPERATION_STATE_CANCELLED)
    assert world.effects == set()


async def test_an_operation_that_has_succeeded_cannot_be_cancelled(database: Database) -> None:
    plan = flow(remote("a"))
    running = await engine(database, plan, World())
    id = await database.write(begin, plan)
    await ended(database, id)
    await running.stop()
    with caller.acting_as(USER), pytest.raises(CloudError) as caught:
        await OperationServicer(database).CancelOperation(pb.CancelOperationRequest(id=id), None)
    assert caught.value.reason == "WRONG_STATUS"
    assert caught.value.metadata["status"] == "SUCCEEDED"


async def test_watching_what_is_not_there_is_not_found(database: Database) -> None:
    watch: Any = OperationServicer(database).WatchOperation(pb.WatchOperationRequest(id=ids.new()), None)
    with caller.acting_as(USER), pytest.raises(CloudError) as caught:
        await anext(watch)
    assert caught.value.reason == "NOT_FOUND"
