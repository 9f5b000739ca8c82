"""The crash matrix: die before and after every step and undo, once and twice, fail every step; all or
nothing.
"""

import itertools
from pathlib import Path

import pytest

from mesh.database import Database
from mesh.errors import CloudError
from tests.flows.rehearse import (
    Died,
    Point,
    World,
    begin,
    engine,
    flow,
    local,
    remote,
    state_of,
    survive,
)

STEPS = ("a", "b", "c", "d", "e")
PLAN = flow(remote("a"), local("b"), remote("c"), local("d"), remote("e"), commit="d")
FORWARD = [(when, step) for step in STEPS for when in ("before do", "after do")]
BEFORE_COMMIT = ("a", "b", "c", "d")
BACKWARD = [(when, step) for step in BEFORE_COMMIT[:3] for when in ("before undo", "after undo")]
DOOMED = CloudError("CAPACITY_EXCEEDED", "on purpose")
PASSING = CloudError("UNAVAILABLE", "on purpose")


async def live_through(database: Database, world: World) -> tuple[str, World]:
    """Submit, and start a new engine each time that one dies, until the operation ends; its state."""
    running = await engine(database, PLAN, world)
    id = await database.write(begin, PLAN)
    return await survive(database, PLAN, world, id, running), world


async def assert_all(database: Database, world: World) -> None:
    assert await database.read(state_of) == (["READY"], 2)
    assert len(world.effects) == 3


async def assert_nothing(database: Database, world: World) -> None:
    assert await database.read(state_of) == (["BROKEN"], 0)
    assert world.effects == set()


@pytest.fixture
def database_url(tmp_path: Path) -> str:
    """On SQLite a new engine takes over at once, so the matrix is quick."""
    return f"sqlite:///{tmp_path}/flows.db"


async def test_without_trouble_everything_is_made(database: Database) -> None:
    state, world = await live_through(database, World())
    assert state == "SUCCEEDED"
    await assert_all(database, world)
    assert all(world.seen[point] == 1 for point in FORWARD)


@pytest.mark.parametrize("point", FORWARD, ids=" ".join)
@pytest.mark.parametrize("times", [1, 2])
async def test_a_death_at_any_point_of_the_way_forward_changes_nothing(
    database: Database, point: Point, times: int
) -> None:
    state, world = await live_through(database, World({point: [Died() for _ in range(times)]}))
    assert state == "SUCCEEDED"
    await assert_all(database, world)
    assert world.seen[point] == times + 1


@pytest.mark.parametrize("pair", list(itertools.combinations(FORWARD, 2)), ids=str)
async def test_two_deaths_at_any_two_points_change_nothing(
    database: Database, pair: tuple[Point, Point]
) -> None:
    state, world = await live_through(database, World({point: [Died()] for point in pair}))
    assert state == "SUCCEEDED"
    await assert_all(database, world)


@pytest.mark.parametrize("step", BEFORE_COMMIT)
@pytest.mark.parametrize("when", ["before do", "after do"])
async def test_a_failure_before_the_commit_point_leaves_nothing(
    database: Database, step: str, when: str
) -> None:
    state, world = await live_through(database, World({(when, step): [DOOMED]}))
    assert state == "FAILED"
    await assert_nothing(database, world)


@pytest.mark.parametrize("when", ["before do", "after do"])
async def test_after_the_commit_point_a_failure_is_retried_until_it_works(
    database: Database, when: str
) -> None:
    state, world = await live_through(database, World({(when, "e"): [DOOMED] * 4}))
    assert state == "SUCCEEDED"
    await assert_all(database, world)


@pytest.mark.parametrize("step", STEPS)
async def test_a_failure_that_may_pass_is_tried_again(database: Database, step: str) -> None:
    state, world = await live_through(database, World({("before do", step): [PASSING, PASSING]}))
    assert state == "SUCCEEDED"
    await assert_all(database, world)


@pytest.mark.parametrize("step", BEFORE_COMMIT)
async def test_a_failure_that_does_not_pass_unwinds_after_the_last_attempt(
    database: Database, step: str
) -> None:
    state, world = await live_through(database, World({("before do", step): [PASSING] * 3}))
    assert state == "FAILED"
    assert world.seen["before do", step] == 3
    await assert_nothing(database, world)


@pytest.mark.parametrize("step", BEFORE_COMMIT)
async def test_a_defect_in_a_step_unwinds_and_tells_no_secrets(database: Database, step: str) -> None:
    state, world = await live_through(database, World({("after do", step): [RuntimeError("SELECT secret")]}))
    assert state == "FAILED"
    await assert_nothing(database, world)


@pytest.mark.parametrize("point", BACKWARD, ids=" ".join)
@pytest.mark.parametrize("times", [1, 2])
async def test_a_death_at_any_point_of_the_way_back_still_leaves_nothing(
    database: Database, point: Point, times: int
) -> None:
    world = World({("before do", "d"): [DOOMED], point: [Died() for _ in range(times)]})
    state, world = await live_through(database, world)
    assert state == "FAILED"
    await assert_nothing(database, world)


@pytest.mark.parametrize("point", BACKWARD, ids=" ".join)
@pytest.mark.parametrize("error", [PASSING, DOOMED, RuntimeError("broken")], ids=["passing", "doomed", "bug"])
async def test_an_undo_that_fails_is_tried_until_it_works(
    database: Database, point: Point, error: Exception
) -> None:
    world = World({("before do", "d"): [DOOMED], point: [error] * 3})
    state, world = await live_through(database, world)
    assert state == "FAILED"
    await assert_nothing(database, world)


async def test_every_attempt_of_a_step_sends_the_same_request_id(database: Database) -> None:
    world = World({("after do", "a"): [Died(), PASSING]})
    await live_through(database, world)
    assert len(world.request_ids["a"]) == 1
    assert world.request_ids["a"].isdisjoint(world.request_ids["c"])
