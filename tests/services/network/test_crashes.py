"""Changes die and stumble at each of their points: hosts have them, or all is as it was."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any

from services.network.confirmations import Confirmations
from services.network.flows import FLOWS
from services.network.flows.on_hosts import (
    FLOATING_IP_CHANGE,
    FLOATING_IP_DELETE,
    ROUTER_CHANGE,
    ROUTER_DELETE,
    App,
)
from tests.perils import (
    Died,
    Plan,
    Survivor,
    deaths,
    deaths_on_the_way_back,
    failures,
    failures_that_pass,
)
from tests.services.network.conftest import Cloud, refused
from tests.services.network.site import Site, site, state
from weft.network.v1 import resources_pb2 as pb


@asynccontextmanager
async def survivor(weft: Cloud) -> AsyncIterator[Survivor]:
    """The service's flows, whose engines die and are replaced."""
    runtime = weft.house.runtimes["network"]
    confirmations = Confirmations(runtime.database)
    reading = asyncio.create_task(confirmations.run())
    async with Survivor(runtime, FLOWS, App(runtime.database, confirmations, 120.0)) as found:
        yield found
    reading.cancel()


@contextmanager
def in_peril(survives: Survivor, plan: Plan) -> Iterator[None]:
    """The block goes by the plan; each death that it tells of is died."""
    told = sum(isinstance(each, Died) for happens in plan.values() for each in happens)
    before, survives.perils.plan = survives.deaths, plan
    yield
    assert survives.deaths - before == told, plan
    survives.perils.plan = {}


async def test_a_router_is_changed_or_as_it_was_wherever_it_fails(weft: Cloud):
    async with site(weft) as it, survivor(weft) as survives:
        for how, plans in (
            ("SUCCEEDED", [*deaths(ROUTER_CHANGE), *failures_that_pass(ROUTER_CHANGE)]),
            ("FAILED", [*failures(ROUTER_CHANGE), *deaths_on_the_way_back(ROUTER_CHANGE)]),
        ):
            for plan in plans:
                before = await it.router_now()
                with in_peril(survives, plan):
                    ended = await it.mine.ended((await it.toggle()).operation_id)
                    assert state(ended) == how, plan
                assert (await it.router_now() == before) == (how == "FAILED"), plan


async def test_a_floating_ip_is_moved_or_as_it_was_wherever_it_fails(weft: Cloud):
    async with site(weft) as it, survivor(weft) as survives:
        await it.lead_out()
        for how, plans in (
            ("SUCCEEDED", deaths(FLOATING_IP_CHANGE)),
            ("FAILED", failures(FLOATING_IP_CHANGE)),
        ):
            for plan in plans:
                before = await it.floating_ip_now()
                with in_peril(survives, plan):
                    changed = await it.lead("" if before.port_id else None)
                    assert state(await it.mine.ended(changed.operation_id)) == how, plan
                assert (await it.floating_ip_now() == before) == (how == "FAILED"), plan


async def _router(it: Site) -> tuple[Any, Any, Any]:
    gateway = pb.ExternalGateway(network_id=it.external.id)
    made = await it.mine.CreateRouter(name="out", gateway=gateway)
    return made, it.mine.DeleteRouter, it.mine.GetRouter


async def _floating_ip(it: Site) -> tuple[Any, Any, Any]:
    port = await it.mine.bound_port(it.weft.compute(), it.subnet.network_id, it.host.id)
    made = await it.mine.CreateFloatingIp(network_id=it.external.id, port_id=port.id)
    return made, it.mine.DeleteFloatingIp, it.mine.GetFloatingIp


async def test_a_deletion_comes_to_its_end_wherever_it_dies(weft: Cloud):
    async with site(weft) as it, survivor(weft) as survives:
        await it.lead_out()
        for flow, make in ((ROUTER_DELETE, _router), (FLOATING_IP_DELETE, _floating_ip)):
            for plan in deaths(flow):
                made, remove, find = await make(it)
                assert state(await it.mine.ended(made.operation_id)) == "SUCCEEDED"
                with in_peril(survives, plan):
                    await remove(id=made.id)
                    found = (await it.mine.ListOperations(target_id=made.id, kind=flow.kind)).operations
                    assert state(await it.mine.ended(found[0].id)) == "SUCCEEDED", plan
                await refused(find(id=made.id), "NOT_FOUND")


async def test_on_postgresql_too_a_change_that_fails_leaves_all_as_it_was(weft_on_both: Cloud):
    async with site(weft_on_both) as it, survivor(weft_on_both) as survives:
        await it.lead_out()
        for change in (it.toggle, lambda: it.lead("")):
            for plan in failures(ROUTER_CHANGE):
                before = await it.router_now(), await it.floating_ip_now()
                with in_peril(survives, plan):
                    assert state(await it.mine.ended((await change()).operation_id)) == "FAILED"
                assert (await it.router_now(), await it.floating_ip_now()) == before
