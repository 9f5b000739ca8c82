"""Limits that services keep: a change of them, or of who shares them, is heard of as it happens."""

from collections.abc import AsyncIterator, Awaitable, Callable

import pytest

from mesh import limits
from mesh.limits import Limits
from mesh.news import News
from mesh.revocations import RemoteVerifier
from tests.services.harness import until
from tests.services.identity.conftest import Cloud
from weft.identity.v1 import limit_service_pb2 as pb
from weft.identity.v1 import project_service_pb2 as project_pb
from weft.identity.v1.resources_pb2 import Limit


class Listener:
    """A service that counts servers, and hears what identity tells."""

    def __init__(self, cloud: Cloud) -> None:
        self.news = News()
        self.verifier = RemoteVerifier(cloud.runtime.peers, self.news)
        self.limits = Limits(cloud.runtime.peers, "compute", self.news)

    async def after(self, change: Callable[[], Awaitable[object]]) -> object:
        """What the change answers, once this service has heard of it."""
        before = self.news.limits
        answer = await change()

        async def heard() -> bool:
            return self.news.limits != before

        await until(heard)
        return answer

    async def following(self) -> bool:
        """Whether it hears of changes."""
        return self.news.following

    async def sharing(self, project_id: str) -> set[str]:
        """Who shares limits with the project."""
        return {each for pool in (await self.limits.of(project_id)).pools for each in pool.members}


@pytest.fixture
async def listener(either: Cloud, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Listener]:
    """One for which what it has asked for holds as long as the test, unless it hears of a change."""
    monkeypatch.setattr(limits, "KEPT", 3600.0)
    found = Listener(either)
    await found.verifier.verify((await either.admin()).token)
    await until(found.following)
    yield found
    await found.verifier.close()


async def test_a_new_project_shares_the_limits_above_from_the_first(
    either: Cloud, listener: Listener
) -> None:
    admin, top = await either.admin(), await either.project("top")
    assert await listener.sharing(top.id) == set()
    kept = await listener.limits.of(top.id)
    assert await listener.limits.of(top.id) is kept
    child = await listener.after(lambda: either.project("child", parent_id=top.id))
    assert await listener.sharing(top.id) == {top.id, child.id}
    off = project_pb.UpdateProjectRequest(id=child.id, project={}, update_mask={"paths": ["enabled"]})
    await admin.projects.UpdateProject(off)
    gone = project_pb.DeleteProjectRequest(id=child.id)
    await listener.after(lambda: admin.projects.DeleteProject(gone))
    assert await listener.sharing(top.id) == set()


async def test_a_limit_that_is_set_or_taken_away_holds_as_soon_as_it_is_heard_of(
    either: Cloud, listener: Listener
) -> None:
    admin, project = await either.admin(), await either.project("mine")
    usual = (await listener.limits.of(project.id))["servers"]
    said = Limit(service="compute", resource="servers", project_id=project.id, limit=usual + 7)
    await listener.after(lambda: admin.limits.SetLimit(pb.SetLimitRequest(limit=said)))
    assert (await listener.limits.of(project.id))["servers"] == usual + 7
    unset = pb.UnsetLimitRequest(service="compute", resource="servers", project_id=project.id)
    await listener.after(lambda: admin.limits.UnsetLimit(unset))
    assert (await listener.limits.of(project.id))["servers"] == usual


async def test_who_does_not_hear_of_changes_asks_each_time(either: Cloud) -> None:
    admin, project, deaf = await either.admin(), await either.project("mine"), Listener(either)
    usual = (await deaf.limits.of(project.id))["servers"]
    said = Limit(service="compute", resource="servers", project_id=project.id, limit=usual + 7)
    await admin.limits.SetLimit(pb.SetLimitRequest(limit=said))
    assert (await deaf.limits.of(project.id))["servers"] == usual + 7
