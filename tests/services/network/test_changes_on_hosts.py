"""A change of a router or a floating IP is an operation that ends when the hosts that it concerns have it."""

from collections.abc import Callable
from contextlib import aclosing
from datetime import timedelta
from typing import Any

from mesh import ids
from mesh.database import Database
from mesh.moment import now
from services.network.tables import hosts
from tests.services.harness import until
from tests.services.network.conftest import Cloud, Tried, refused
from tests.services.network.site import cancelled, site, state
from weft.network.v1 import resources_pb2 as pb


async def gone(database: Database, host_id: str) -> None:
    """The host's stream, which ends now, ended a minute ago."""

    def end(connection: Any) -> int:
        ended = hosts.update().where(hosts.c.id == host_id, hosts.c.gone_at.is_not(None))
        count: int = connection.execute(ended.values(gone_at=now(-timedelta(minutes=1)))).rowcount
        return count

    async def is_over() -> bool:
        return await database.write(end) == 1

    await until(is_over)


async def test_a_change_ends_when_every_host_that_it_concerns_has_it(weft: Cloud):
    async with site(weft) as it, weft.host("192.0.2.2", confirms=True) as far, weft.host() as idle:
        network_id = it.subnet.network_id
        await it.mine.bound_port(weft.compute(), network_id, far.id)
        it.host.willing = far.willing = False
        it.host.covers = 0
        changed = await it.mine.AddRouterInterface(id=it.router.id, subnet_id=it.other.id)
        for each in (it.host, far):
            await each.until(lambda each=each: len(each.routers[it.router.id].interfaces) == 2)
            await each.until(lambda each=each: each.covers > 0)
        await it.host.confirm()
        running = await it.mine.GetOperation(id=changed.operation_id)
        assert (running.kind, running.target_id, state(running)) == ("router.change", it.router.id, "RUNNING")
        await far.confirm()
        ended = await it.mine.ended(changed.operation_id)
        assert state(ended) == "SUCCEEDED"
        assert [step.note for step in ended.steps] == ["", ""]
        assert (await it.mine.GetRouter(id=it.router.id)).operation_id == changed.operation_id
        assert len(idle.messages) == 1


async def test_what_concerns_no_host_is_done_at_once(weft: Cloud):
    async with site(weft) as it:
        renamed = await it.mine.UpdateRouter(id=it.router.id, router=pb.Router(name="other"))
        assert renamed.operation_id == ""
        described = pb.FloatingIp(description="mine")
        assert (
            await it.mine.UpdateFloatingIp(id=it.floating_ip.id, floating_ip=described)
        ).operation_id == ""
        nowhere, sent = await it.mine.CreateRouter(name="nowhere"), len(it.host.messages)
        assert (await it.mine.AddRouterInterface(id=nowhere.id, subnet_id=it.other.id)).operation_id == ""
        await it.mine.RemoveRouterInterface(id=nowhere.id, subnet_id=it.other.id)
        await it.mine.DeleteRouter(id=nowhere.id)
        assert len((await it.mine.ListOperations()).operations) == 1
        assert len(it.host.messages) == sent


async def test_hosts_that_are_away_or_do_not_tell_are_not_waited_for_and_named(weft: Cloud):
    async with site(weft) as it, weft.host("192.0.2.2") as older:
        for _ in range(2):
            await it.mine.bound_port(weft.compute(), it.subnet.network_id, older.id)
        async with weft.host("192.0.2.3", confirms=True) as lost:
            await it.mine.bound_port(weft.compute(), it.subnet.network_id, lost.id)
        await gone(weft.house.runtimes["network"].database, lost.id)
        changed = await it.mine.AddRouterInterface(id=it.router.id, subnet_id=it.other.id)
        ended = await it.mine.ended(changed.operation_id)
        assert state(ended) == "SUCCEEDED"
        assert older.id in ended.steps[0].note
        assert lost.id in ended.steps[0].note
        assert it.host.id not in ended.steps[0].note


async def test_a_host_whose_stream_an_older_version_of_the_service_has_is_not_waited_for(weft: Cloud):
    async with site(weft) as it:
        it.host.willing = False

        def connect_as_before(connection: Any) -> None:
            connection.execute(hosts.update().where(hosts.c.id == it.host.id).values(stream_id=ids.new()))

        await weft.house.runtimes["network"].database.write(connect_as_before)
        changed = await it.mine.AddRouterInterface(id=it.router.id, subnet_id=it.other.id)
        ended = await it.mine.ended(changed.operation_id)
        assert state(ended) == "SUCCEEDED"
        assert it.host.id in ended.steps[0].note


async def test_one_that_goes_away_meanwhile_is_not_waited_for_any_longer(weft: Cloud):
    async with site(weft) as it:
        it.host.willing, it.host.covers = False, 0
        changed = await it.mine.AddRouterInterface(id=it.router.id, subnet_id=it.other.id)
        await it.host.until(lambda: it.host.covers > 0)
        assert state(await it.mine.GetOperation(id=changed.operation_id)) == "RUNNING"
        await it.host.stop()
        await gone(weft.house.runtimes["network"].database, it.host.id)
        ended = await it.mine.ended(changed.operation_id)
        assert state(ended) == "SUCCEEDED"
        assert it.host.id in ended.steps[1].note
        async with weft.host("192.0.2.1", host_id=it.host.id, confirms=True) as again:
            assert len(again.routers[it.router.id].interfaces) == 2


async def test_trouble_with_the_thing_itself_keeps_a_change_from_ending_and_others_does_not(
    patience: Callable[[], Tried], weft: Cloud
):
    async with site(weft) as it:
        it.host.willing = False
        for id in (it.router.id, it.other.network_id, ""):
            it.host.covers = 0
            changed = await it.mine.AddRouterInterface(id=it.router.id, subnet_id=it.other.id)
            await it.host.until(lambda: it.host.covers > 0)
            await it.host.confirm({id: "no such device"})
            async with aclosing(patience().confirmations.follow([it.host.id])) as news:
                assert (await anext(news))[it.host.id].trouble == {id: "no such device"}
                await anext(news)
            await cancelled(it, changed.operation_id)
        it.host.covers = 0
        changed = await it.mine.AddRouterInterface(id=it.router.id, subnet_id=it.other.id)
        await it.host.until(lambda: it.host.covers > 0)
        await it.host.confirm({ids.new(): "of somebody else"})
        assert state(await it.mine.ended(changed.operation_id)) == "SUCCEEDED"


async def test_a_request_sent_again_has_one_operation_and_a_rehearsal_none(weft: Cloud):
    async with site(weft) as it:
        add: Callable[..., Any] = it.mine.AddRouterInterface
        request = {"id": it.router.id, "subnet_id": it.other.id, "request_id": ids.new()}
        assert (await add(**request)).operation_id == (await add(**request)).operation_id
        assert len((await it.mine.ListOperations(target_id=it.router.id)).operations) == 2
        down = {"router": pb.Router(), "update_mask": {"paths": ["admin_state_up"]}}
        rehearsed = await it.mine.UpdateRouter(id=it.router.id, validate_only=True, **down)
        assert (rehearsed.admin_state_up, rehearsed.operation_id) == (False, "")
        assert len((await it.mine.ListOperations(target_id=it.router.id)).operations) == 2


async def test_what_a_host_told_another_replica_counts(replicas: tuple[Cloud, Cloud]):
    here, there = replicas
    async with site(here) as it, there.host("192.0.2.2", confirms=True) as far:
        await it.mine.bound_port(here.compute(), it.subnet.network_id, far.id)
        changed = await it.mine.AddRouterInterface(id=it.router.id, subnet_id=it.other.id)
        assert state(await it.mine.ended(changed.operation_id)) == "SUCCEEDED"
        assert len(far.routers[it.router.id].interfaces) == 2


async def test_a_deletion_waits_for_hosts_and_is_never_taken_back(patience: Callable[[], Tried], weft: Cloud):
    async with site(weft) as it:
        await it.lead_out()
        patience().tries(it.host)
        await it.mine.DeleteFloatingIp(id=it.floating_ip.id)
        found = (await it.mine.ListOperations(target_id=it.floating_ip.id)).operations[0]
        assert found.kind == "floating_ip.delete"
        await refused(it.mine.CancelOperation(id=found.id), "WRONG_STATUS")
        async for operation in it.mine.WatchOperation(id=found.id):
            if operation.steps[1].error.reason == "HOSTS_BEHIND":
                assert state(operation) == "RUNNING"
                assert it.host.id in operation.steps[1].error.metadata["hosts"]
                await it.host.confirm()
        assert state(operation) == "SUCCEEDED"
        await refused(it.mine.GetFloatingIp(id=it.floating_ip.id), "NOT_FOUND")
