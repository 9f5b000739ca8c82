"""A purge is cancelled, and identity dies and stumbles in its middle: it ends, or is asked for again."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from mesh import ids
from mesh.errors import CloudError
from services.identity.flows import FLOWS
from services.identity.flows.purge import PURGE, App
from tests.access.conftest import Mesh
from tests.access.tenants import Operator, Tenant, furnished, operator, state, tenant
from tests.perils import Died, Survivor, deaths_on_the_way_back, failures, forward, passing
from weft.identity.v1 import project_service_pb2 as pb
from weft.operation.v1 import operation_pb2

pytestmark = pytest.mark.asyncio(loop_scope="package")


@asynccontextmanager
async def in_peril(mesh: Mesh) -> AsyncIterator[Survivor]:
    runtime = mesh.runtimes["identity"]
    async with Survivor(runtime, FLOWS, App(runtime.database, runtime.peers)) as survivor:
        yield survivor


async def test_cancelled_it_keeps_what_is_left_and_another_goes_on_with_it(mesh: Mesh) -> None:
    leaving = await furnished(mesh)
    async with in_peril(mesh) as survivor, operator(mesh) as admin:
        survivor.perils.plan = {("before do", "delete routers"): [passing() for _ in range(9)]}
        asked = pb.PurgeProjectRequest(id=leaving.project_id, delete_project=True, request_id=ids.new())
        begun = await admin.projects.PurgeProject(asked)
        again = await admin.projects.PurgeProject(pb.PurgeProjectRequest(id=leaving.project_id))
        assert again.operation_id == begun.operation_id
        async for seen in admin.operations.WatchOperation(
            operation_pb2.WatchOperationRequest(id=begun.operation_id)
        ):
            if any(step.name == "delete routers" and step.attempts for step in seen.steps):
                break
        change = {"project": {"enabled": True}, "update_mask": {"paths": ["enabled"]}}
        with pytest.raises(CloudError) as closed:
            await admin.projects.UpdateProject(pb.UpdateProjectRequest(id=leaving.project_id, **change))
        assert closed.value.reason == "WRONG_STATUS"
        await admin.operations.CancelOperation(operation_pb2.CancelOperationRequest(id=begun.operation_id))
        assert state(await admin.ended(begun.operation_id)) == "CANCELLED"
        left = {each.type for each in (await admin.holdings(leaving.project_id)).values()}
        assert "router" in left
        assert not left & {"server", "image", "floating_ip"}
        assert (await admin.project(leaving.project_id)).enabled
        survivor.perils.plan = {}
        assert state(await admin.purge(leaving.project_id, delete_project=True)) == "SUCCEEDED"


async def test_it_ends_wherever_identity_dies(mesh: Mesh) -> None:
    every = forward(PURGE)
    async with in_peril(mesh) as survivor, operator(mesh) as admin:
        for some in (every[begin::4] for begin in range(4)):
            leaving = await furnished(mesh)
            before, survivor.perils.plan = survivor.deaths, {point: [Died(), Died()] for point in some}
            await _goes(admin, leaving)
            assert survivor.deaths - before == 2 * len(some)


async def test_it_ends_whole_or_undone_where_identity_dies_while_it_is_undone(mesh: Mesh) -> None:
    async with in_peril(mesh) as survivor, operator(mesh) as admin:
        for plan in deaths_on_the_way_back(PURGE):
            leaving = await tenant(mesh)
            survivor.perils.plan = plan
            ended = await admin.purge(leaving.project_id, delete_project=True)
            if state(ended) == "FAILED":
                await _is_open(admin, leaving)
                ended = await admin.purge(leaving.project_id, delete_project=True)
            assert state(ended) == "SUCCEEDED", (plan, ended.error)


async def test_what_fails_leaves_the_project_open_and_can_be_asked_for_again(mesh: Mesh) -> None:
    leaving = await furnished(mesh)
    async with in_peril(mesh) as survivor, operator(mesh) as admin:
        for plan in failures(PURGE):
            survivor.perils.plan = plan
            assert state(await admin.purge(leaving.project_id, delete_project=True)) == "FAILED", plan
            await _is_open(admin, leaving)
        await _goes(admin, leaving)


async def _is_open(admin: Operator, leaving: Tenant) -> None:
    project = await admin.project(leaving.project_id)
    assert (project.enabled, project.operation_id) == (True, "")


async def _goes(admin: Operator, leaving: Tenant) -> None:
    ended = await admin.purge(leaving.project_id, delete_project=True)
    assert state(ended) == "SUCCEEDED", ended.error
    with pytest.raises(CloudError, match="There is no project"):
        await admin.project(leaving.project_id)
