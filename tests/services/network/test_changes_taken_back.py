"""What hosts do not have in time, or somebody cancels, is taken back, unless others have built on it."""

from collections.abc import Awaitable, Callable
from typing import Any

from tests.services.network.conftest import Cloud, Tried, refused
from tests.services.network.site import Site, cancelled, site, state
from weft.network.v1 import resources_pb2 as pb


def _add_interface(it: Site) -> Awaitable[Any]:
    return it.mine.AddRouterInterface(id=it.router.id, subnet_id=it.other.id)


async def _add_port(it: Site) -> Any:
    port = await it.mine.CreatePort(network_id=it.other.network_id)
    changed = await it.mine.AddRouterInterface(id=it.router.id, port_id=port.id)
    assert state(await it.mine.ended(changed.operation_id)) == "FAILED"
    again = await it.mine.GetPort(id=port.id)
    for each in (port, again):
        for name in ("revision", "updated_at"):
            each.ClearField(name)
    assert again == port
    return changed


async def _remove_interface(it: Site) -> Any:
    await it.lead("")
    return await it.mine.RemoveRouterInterface(id=it.router.id, subnet_id=it.subnet.id)


async def _clear_gateway(it: Site) -> Any:
    await it.lead("")
    return await it.mine.ClearRouterGateway(id=it.router.id)


def _no_translation(it: Site) -> Awaitable[Any]:
    gateway = pb.ExternalGateway(network_id=it.external.id, snat_enabled=False)
    return it.mine.SetRouterGateway(id=it.router.id, gateway=gateway)


def _routes_and_name(it: Site) -> Awaitable[Any]:
    route = pb.HostRoute(destination="192.0.2.0/24", next_hop="10.0.0.9")
    return it.mine.UpdateRouter(id=it.router.id, router=pb.Router(name="new", routes=[route]))


def _down(it: Site) -> Awaitable[Any]:
    mask = {"paths": ["admin_state_up"]}
    return it.mine.UpdateRouter(id=it.router.id, router=pb.Router(), update_mask=mask)


def _nowhere(it: Site) -> Awaitable[Any]:
    return it.lead("")


CHANGES = (
    _add_interface,
    _add_port,
    _remove_interface,
    _clear_gateway,
    _no_translation,
    _routes_and_name,
    _down,
    _nowhere,
)


async def test_what_hosts_do_not_have_in_time_is_taken_back_whatever_it_was(
    patience: Callable[[], Tried], weft: Cloud
):
    async with site(weft) as it:
        for change in CHANGES:
            patience().waits(it.host)
            await it.lead_out()
            before = await it.router_now()
            patience().tries(it.host)
            ended = await it.mine.ended((await change(it)).operation_id)
            assert (state(ended), ended.error.reason) == ("FAILED", "HOSTS_BEHIND"), change
            assert (ended.error.metadata["hosts"], ended.error.metadata["count"]) == (it.host.id, "1")
            assert ended.error.message.endswith("It is as it was before."), change
            assert await it.router_now() == before, change
            told = await it.mine.GetFloatingIp(id=it.floating_ip.id)
            if change is _nowhere:
                assert told.port_id == it.port.id
            routes = list(before.routes)
            await it.host.until(lambda r=routes: list(it.host.routers[it.router.id].routes) == r)


async def test_a_way_out_and_a_new_floating_ip_are_taken_back(patience: Callable[[], Tried], weft: Cloud):
    async with site(weft) as it:
        before = await it.router_now()
        patience().tries(it.host)
        gateway = pb.ExternalGateway(network_id=it.external.id)
        changed = await it.mine.SetRouterGateway(id=it.router.id, gateway=gateway)
        assert state(await it.mine.ended(changed.operation_id)) == "FAILED"
        assert await it.router_now() == before
        made = await it.mine.CreateRouter(name="out", gateway=gateway)
        assert state(await it.mine.ended(made.operation_id)) == "FAILED"
        await refused(it.mine.GetRouter(id=made.id), "NOT_FOUND")
        patience().waits(it.host)
        await it.lead_out()
        await it.lead("")
        patience().tries(it.host)
        made = await it.mine.CreateFloatingIp(network_id=it.external.id, port_id=it.port.id)
        assert state(await it.mine.ended(made.operation_id)) == "FAILED"
        await refused(it.mine.GetFloatingIp(id=made.id), "NOT_FOUND")


async def test_what_somebody_changed_since_stays_and_the_operation_says_so(weft: Cloud):
    async with site(weft) as it:
        it.host.willing = False
        first = await it.mine.AddRouterInterface(id=it.router.id, subnet_id=it.other.id)
        await it.mine.UpdateRouter(id=it.router.id, router=pb.Router(name="mine now"))
        ended = await cancelled(it, first.operation_id)
        assert "It stays as the change made it. The router was changed again since." in ended.error.message
        assert len((await it.router_now()).interfaces) == 2


async def test_what_came_to_need_it_meanwhile_keeps_a_change(weft: Cloud):
    async with site(weft) as it:
        it.host.willing = False
        gateway = pb.ExternalGateway(network_id=it.external.id)
        changed = await it.mine.SetRouterGateway(id=it.router.id, gateway=gateway)
        await it.lead()
        ended = await cancelled(it, changed.operation_id)
        assert f"floating IP {it.floating_ip.address} leads by the router" in ended.error.message
        assert (await it.router_now()).gateway.network_id == it.external.id


async def test_what_somebody_took_meanwhile_is_not_taken_from_them(weft: Cloud):
    async with site(weft) as it:
        it.host.willing = False
        removed = await it.mine.RemoveRouterInterface(id=it.router.id, subnet_id=it.subnet.id)
        other = await it.mine.CreateRouter(name="another")
        await it.mine.AddRouterInterface(id=other.id, subnet_id=it.subnet.id)
        ended = await cancelled(it, removed.operation_id)
        assert "It stays as the change made it. Somebody else has 10.0.0.1 by now." in ended.error.message
        assert not (await it.router_now()).interfaces


async def test_an_operation_that_failed_says_what_the_host_has_trouble_with(
    patience: Callable[[], Tried], weft: Cloud
):
    async with site(weft) as it:
        it.host.willing, it.host.covers = False, 0
        await it.mine.AddRouterInterface(id=it.router.id, subnet_id=it.other.id)
        await it.host.until(lambda: it.host.covers > 0)
        await it.host.confirm({it.router.id: "no such device"})
        patience().tries(it.host)
        down = {"router": pb.Router(), "update_mask": {"paths": ["admin_state_up"]}}
        ended = await it.mine.ended((await it.mine.UpdateRouter(id=it.router.id, **down)).operation_id)
        assert ended.error.metadata["detail"] == "no such device"
        assert ended.error.message.startswith(f"host {it.host.id} did not have it in 0.3 s: no such device.")


async def test_a_change_is_cancelled_by_its_own_project_and_is_undone(weft: Cloud):
    async with site(weft) as it:
        before, it.host.willing = await it.router_now(), False
        changed = await it.mine.AddRouterInterface(id=it.router.id, subnet_id=it.other.id)
        theirs = weft.project()
        for call in (theirs.GetOperation, theirs.CancelOperation):
            await refused(call(id=changed.operation_id), "NOT_FOUND")
        assert not (await theirs.ListOperations()).operations
        await it.mine.CancelOperation(id=changed.operation_id)
        ended = await it.mine.ended(changed.operation_id)
        assert (state(ended), ended.error.reason) == ("CANCELLED", "CANCELLED")
        assert await it.router_now() == before
