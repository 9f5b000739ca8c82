"""Limits in trees of projects: what may be set, and that nothing which keeps to it passes a limit above."""

import asyncio
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mesh import ids
from mesh.errors import CloudError
from services.identity.limit_trees import NONE, LimitTree
from tests.services.identity.conftest import Cloud, Person
from tests.services.identity.test_login import reason
from weft.identity.v1 import limit_service_pb2 as pb
from weft.identity.v1.resources_pb2 import Limit

PROJECTS = "abcdefgh"


@st.composite
def parents(draw: st.DrawFn) -> dict[str, str]:
    """A tree of projects: each is below one of those before it."""
    return {each: draw(st.sampled_from(PROJECTS[:i])) if i else "" for i, each in enumerate(PROJECTS)}


settings_of_limits = st.lists(st.tuples(st.sampled_from(PROJECTS), st.integers(NONE, 12)), max_size=12)
uses = st.lists(st.tuples(st.sampled_from(PROJECTS), st.integers(1, 5)), max_size=30)


def below(tree: Mapping[str, str], top: str) -> set[str]:
    """The project and all below it, found without the code under test."""
    found = {top}
    while more := {each for each, parent in tree.items() if parent in found} - found:
        found |= more
    return found


def with_what_is_accepted(tree: LimitTree, wanted: list[tuple[str, int]]) -> LimitTree:
    for project_id, limit in wanted:
        after = LimitTree(tree.parents, {**tree.own, project_id: limit}, tree.default)
        with suppress(CloudError):
            after.refuse(project_id, "servers")
            tree = after
    return tree


@given(parents(), st.integers(NONE, 12), settings_of_limits, uses)
def test_who_keeps_to_the_limits_passes_none_above(above, default, wanted, uses) -> None:
    tree = with_what_is_accepted(LimitTree(above, {}, default), wanted)
    used = dict.fromkeys(PROJECTS, 0)
    for project_id, more in uses:
        owner = tree.owner(project_id)
        together = sum(used[each] for each in tree.sharing(owner))
        alone = tree.ceiling(project_id) if owner != project_id else tree.left(owner)
        if alone != NONE and used[project_id] + more > alone:
            continue
        if tree.left(owner) != NONE and together + more > tree.left(owner):
            continue
        used[project_id] += more
    for each in PROJECTS:
        if tree.owner(each) == each and tree.total(each) != NONE:
            assert sum(used[one] for one in below(above, each)) <= tree.total(each)


@given(parents(), settings_of_limits)
def test_what_a_project_has_for_itself_nobody_else_can_use_up(above, wanted) -> None:
    tree = with_what_is_accepted(LimitTree(above, {}, 5), wanted)
    owners = {tree.owner(each) for each in PROJECTS}
    assert sorted(each for owner in owners for each in tree.sharing(owner)) == list(PROJECTS)
    for owner in owners - {"a"}:
        assert tree.left(owner) + max(tree.reserved(owner), 0) == tree.total(owner) or NONE in (
            tree.total(owner),
            tree.left(owner),
        )


class Tree:
    """A company with two teams, one of which has a squad."""

    def __init__(self, cloud: Cloud, admin: Person) -> None:
        self.cloud, self.admin = cloud, admin
        self.ids: dict[str, str] = {}

    async def grow(self) -> "Tree":
        for name, above in (("company", ""), ("red", "company"), ("blue", "company"), ("squad", "red")):
            made = await self.cloud.project(name, parent_id=self.ids.get(above, ""))
            self.ids[name] = made.id
        return self

    async def put(self, limit: int, name: str = "", resource: str = "servers") -> Limit:
        said = Limit(service="compute", resource=resource, project_id=self.ids.get(name, ""), limit=limit)
        return await self.admin.limits.SetLimit(pb.SetLimitRequest(limit=said))

    async def unset(self, name: str) -> None:
        where = {"service": "compute", "resource": "servers", "project_id": self.ids[name]}
        await self.admin.limits.UnsetLimit(pb.UnsetLimitRequest(**where))

    async def of(self, name: str, person: Person | None = None) -> tuple[Limit, Any]:
        """The limit of servers that the project has, and the whole answer."""
        request = pb.ListLimitsRequest(project_id=self.ids[name], service="compute")
        answer = await (person or self.admin).limits.ListLimits(request)
        return next(each for each in answer.limits if each.resource == "servers"), answer


@pytest.fixture
async def tree(either: Cloud) -> Tree:
    """On both databases, with 20 servers for each project by default."""
    return await Tree(either, await either.admin()).grow()


async def refusal(call) -> CloudError:
    with pytest.raises(CloudError) as caught:
        await call
    assert caught.value.reason == "LIMIT_REFUSED"
    return caught.value


async def test_a_limit_below_is_taken_from_the_one_above(tree: Tree) -> None:
    await tree.put(30, "company")
    assert (await tree.put(25, "red")).own
    error = await refusal(tree.put(6, "blue"))
    assert error.metadata == {
        "project_id": tree.ids["company"],
        "resource": "servers",
        "limit": "30",
        "reserved": "31",
    }
    await tree.put(5, "blue")
    assert (await tree.of("company"))[0].reserved == 30
    error = await refusal(tree.put(24, "company"))
    assert (error.metadata["limit"], error.metadata["reserved"]) == ("24", "30")
    await refusal(tree.put(-1, "blue"))
    await tree.put(-1, "company")
    await tree.put(-1, "blue")
    await refusal(tree.put(1000, "company"))


async def test_a_project_without_a_limit_shares_what_is_left_above(tree: Tree) -> None:
    await tree.put(30, "company")
    assert (await tree.of("squad"))[0].limit == 20  # the default, of thirty that are shared
    await tree.put(25, "blue")
    squad, _ = await tree.of("squad")
    assert (squad.limit, squad.own) == (5, False)
    await tree.put(4, "squad")
    assert (await tree.of("red"))[0].limit == 1
    await tree.put(5, "red")
    assert (await tree.of("company"))[0].reserved == 30
    await tree.unset("red")
    assert (await tree.of("company"))[0].reserved == 29
    assert await reason(tree.unset("red")) == "NOT_FOUND"


async def test_services_alone_are_told_who_shares_a_limit(tree: Tree) -> None:
    await tree.put(30, "company")
    await tree.put(10, "blue")
    _, shown = await tree.of("squad", tree.cloud.service())
    assert shown.tree_id == tree.ids["company"]
    by_resource = {limit.resource: pool for pool in shown.pools for limit in pool.limits}
    pool = by_resource["servers"]
    assert set(pool.member_ids) == {tree.ids[name] for name in ("company", "red", "squad")}
    assert [(each.limit, each.reserved) for each in pool.limits] == [(30, 10)]
    assert len(by_resource["vcpus"].member_ids) == 4
    _, alone = await tree.of("blue", tree.cloud.service())
    assert "servers" not in {limit.resource for pool in alone.pools for limit in pool.limits}
    _, shown = await tree.of("squad")
    assert not shown.pools
    assert not shown.tree_id


async def test_a_default_leaves_room_for_what_is_reserved_of_it(tree: Tree) -> None:
    await tree.put(12, "red")
    error = await refusal(tree.put(11))
    assert error.metadata["project_id"] == tree.ids["company"]
    await tree.put(12)
    assert (await tree.of("blue"))[0].limit == 0
    await tree.put(50, "company")
    await tree.put(3)
    await refusal(tree.unset("company"))


async def test_limits_set_at_once_never_reserve_more_than_there_is(tree: Tree) -> None:
    await tree.put(10, "company")
    wishes = [tree.put(6, name) for name in ("red", "blue") for _ in range(4)]
    answers = await asyncio.gather(*wishes, return_exceptions=True)
    assert {type(answer) for answer in answers} == {Limit, CloudError}
    assert (await tree.of("company"))[0].reserved == 6
    lowered = [tree.put(7, "company"), tree.put(4, "blue"), tree.put(4, "red")]
    await asyncio.gather(*lowered, return_exceptions=True)
    company, _ = await tree.of("company")
    assert company.reserved <= company.limit


async def test_a_limit_of_a_project_that_is_not_there_is_refused(tree: Tree) -> None:
    tree.ids["ghost"] = ids.new()
    assert await reason(tree.put(1, "ghost")) == "NOT_FOUND"
    assert await reason(tree.put(1, "red", "dragons")) == "NOT_FOUND"
