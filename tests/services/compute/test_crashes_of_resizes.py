"""The crash matrix of resizes, on the same host and to another, kept and taken back."""

from collections.abc import Awaitable, Callable

import pytest

from mesh.flow import Flow
from services.compute.flows.resize import RESIZE
from services.compute.flows.resize_ends import CONFIRM, REVERT
from tests.perils import deaths, deaths_on_the_way_back, doomed, failures, failures_that_pass
from tests.services.compute.cloud import Cloud, status
from tests.services.compute.perils import Survivor
from tests.services.compute.test_crashes import (
    assert_all_agree,
    assert_nothing_is_left,
    booted,
)
from tests.services.compute.test_resize import confirmed, flavor, migrated, resized, reverted
from weft.compute.v1.resources_pb2 import Server


async def _grown(compute: Cloud, server: Server) -> Server:
    return await resized(compute, server, (await flavor(compute)).id)


CHANGES = {"here": _grown, "elsewhere": migrated}
Change = Callable[[Cloud, Server], Awaitable[Server]]


@pytest.mark.parametrize("where", CHANGES)
@pytest.mark.parametrize("plans", [deaths, failures_that_pass, failures, deaths_on_the_way_back])
async def test_a_resize_is_whole_or_as_if_it_had_not_been(compute: Cloud, where: str, plans: object) -> None:
    expected = "VERIFY_RESIZE" if plans in (deaths, failures_that_pass) else "ACTIVE"
    async with Survivor(compute) as survivor:
        for plan in plans(RESIZE):
            server, _ = await booted(compute, from_image=True)
            survivor.perils.plan = plan
            ended = await CHANGES[where](compute, server)
            await assert_all_agree(compute, plan, ended, expected)
            await assert_nothing_is_left(compute, server)


@pytest.mark.parametrize("where", CHANGES)
@pytest.mark.parametrize(("flow", "end"), [(CONFIRM, confirmed), (REVERT, reverted)])
async def test_a_resize_ends_wherever_that_dies_or_stumbles(
    compute: Cloud, where: str, flow: Flow, end: Change
) -> None:
    async with Survivor(compute) as survivor:
        for plans in (deaths, failures_that_pass):
            for plan in plans(flow):
                server, _ = await booted(compute, from_image=True)
                await CHANGES[where](compute, server)
                survivor.perils.plan = plan
                await assert_all_agree(compute, plan, await end(compute, server), "ACTIVE")
                await assert_nothing_is_left(compute, server)
        server, _ = await booted(compute, from_image=True)
        await CHANGES[where](compute, server)
        survivor.perils.plan = {("before do", flow.steps[0].name): [doomed()]}
        kept = await end(compute, server)
        assert status(kept) == "VERIFY_RESIZE"
        assert status(await end(compute, server)) == "ACTIVE"
        await assert_nothing_is_left(compute, server)
