"""Servers get another flavor or host, and keep it or not."""

from datetime import timedelta
from typing import Any

import pytest

from mesh import clock, ids
from mesh.database import Connection
from mesh.errors import CloudError
from services.compute import confirmations
from services.compute.flows.app import App
from services.compute.nodes import Nodes
from services.compute.reconcile import Reconciler
from services.compute.store import servers
from tests.services.compute.cloud import Cloud, User, event, status
from tests.services.compute.fakes.faults import broken
from tests.services.compute.test_crashes import booted
from weft.compute.v1.flavor_service_pb2 import CreateFlavorRequest
from weft.compute.v1.host_service_pb2 import ReportGuestEventsRequest
from weft.compute.v1.resources_pb2 import Flavor, Server
from weft.compute.v1.server_service_pb2 import (
    ConfirmResizeRequest,
    MigrateServerRequest,
    ResizeServerRequest,
    RevertResizeRequest,
    StopServerRequest,
)


async def flavor(compute: Cloud, **fields: Any) -> Flavor:
    given = {"name": ids.new(), "vcpus": 2, "memory_mib": 1024, "disk_gib": 4} | fields
    return await compute.admin.flavors.CreateFlavor(CreateFlavorRequest(**given))


async def resized(compute: Cloud, server: Server, flavor_id: str, user: User | None = None) -> Server:
    user = user or compute.member
    begun = await user.servers.ResizeServer(ResizeServerRequest(id=server.id, flavor_id=flavor_id))
    assert status(begun) == "RESIZING"
    return await user.settled(begun)


async def migrated(compute: Cloud, server: Server, host_id: str = "") -> Server:
    request = MigrateServerRequest(id=server.id, host_id=host_id)
    return await compute.admin.settled(await compute.admin.servers.MigrateServer(request))


async def confirmed(compute: Cloud, server: Server) -> Server:
    begun = await compute.member.servers.ConfirmResize(ConfirmResizeRequest(id=server.id))
    assert status(begun) == "CONFIRMING"
    return await compute.member.settled(begun)


async def reverted(compute: Cloud, server: Server) -> Server:
    begun = await compute.member.servers.RevertResize(RevertResizeRequest(id=server.id))
    assert status(begun) == "REVERTING"
    return await compute.member.settled(begun)


def fill(compute: Cloud, server: Server) -> None:
    """Its host has room for nothing more."""
    node = compute.host_of(server)
    for inventory in compute.placement.providers[node.id].inventories:
        if inventory.resource_class == "VCPU":
            inventory.total = 1
            inventory.allocation_ratio = 1


@pytest.mark.parametrize("keep", [True, False])
async def test_where_there_is_room_it_grows_on_its_host(compute: Cloud, keep: bool) -> None:
    server, _ = await booted(compute, from_image=True)
    node, large = compute.host_of(server), await flavor(compute)
    waiting = await resized(compute, server, large.id)
    assert (status(waiting), waiting.flavor.id) == ("VERIFY_RESIZE", large.id)
    assert waiting.resize.old_flavor.id == server.flavor.id
    assert waiting.host_fingerprint == server.host_fingerprint
    assert (node.guests[server.id].state, node.grace) == ("RUNNING", 60)
    await compute.assert_consistent()
    ended = await (confirmed if keep else reverted)(compute, server)
    assert (status(ended), ended.HasField("resize")) == ("ACTIVE", False)
    assert ended.flavor.id == (large.id if keep else server.flavor.id)
    assert len(compute.placement.consumers) == 1
    await compute.assert_consistent()
    await compute.member.delete(server)
    await compute.assert_consistent()


@pytest.mark.parametrize("keep", [True, False])
@pytest.mark.parametrize("from_image", [True, False])
async def test_where_there_is_none_it_moves(compute: Cloud, keep: bool, from_image: bool) -> None:
    server, _ = await booted(compute, from_image=from_image)
    old, large = compute.host_of(server), await flavor(compute)
    new = next(node for node in compute.nodes if node is not old)
    fill(compute, server)
    waiting = await resized(compute, server, large.id)
    assert status(waiting) == "VERIFY_RESIZE"
    assert waiting.host_fingerprint != server.host_fingerprint
    assert not waiting.resize.old_host_id  # for administrators only
    assert (await compute.admin.get(server.id)).resize.old_host_id == old.id
    assert [old.guests[server.id].state, new.guests[server.id].state] == ["SHUTOFF", "RUNNING"]
    assert new.guests[server.id].spec.HasField("copy")
    assert old.guests[server.id].volumes == {}
    await compute.assert_consistent()
    ended = await (confirmed if keep else reverted)(compute, server)
    host = new if keep else old
    assert (status(ended), compute.host_of(ended)) == ("ACTIVE", host)
    assert host.guests[server.id].state == "RUNNING"
    assert [v.device for v in ended.volumes] == [v.device for v in server.volumes]
    assert list(ended.ports) == list(server.ports)
    await compute.assert_consistent()


async def test_an_administrator_moves_a_server_and_a_stopped_one_stays_off(compute: Cloud) -> None:
    server, _ = await booted(compute, from_image=True)
    await compute.member.settled(await compute.member.servers.StopServer(StopServerRequest(id=server.id)))
    old = compute.host_of(server)
    new = next(node for node in compute.nodes if node is not old)
    with pytest.raises(CloudError) as refused:
        await compute.member.servers.MigrateServer(MigrateServerRequest(id=server.id))
    assert refused.value.reason == "PERMISSION_DENIED"
    for host_id, reason in ((old.id, "INVALID_ARGUMENT"), (ids.new(), "NOT_FOUND")):
        with pytest.raises(CloudError) as refused:
            await migrated(compute, server, host_id)
        assert refused.value.reason == reason
    waiting = await migrated(compute, server, new.id)
    assert (status(waiting), waiting.host_id, waiting.flavor.id) == (
        "VERIFY_RESIZE",
        new.id,
        server.flavor.id,
    )
    ended = await confirmed(compute, server)
    assert (status(ended), new.guests[server.id].state) == ("STOPPED", "SHUTOFF")
    await compute.assert_consistent()


async def test_no_host_with_room_leaves_it_as_it_was_and_running(compute: Cloud) -> None:
    server, _ = await booted(compute, from_image=True)
    huge = await flavor(compute, vcpus=1000)
    kept = await resized(compute, server, huge.id)
    assert (status(kept), kept.flavor.id) == ("ACTIVE", server.flavor.id)
    assert "No host can take the server" in kept.status_reason
    assert compute.host_of(server).guests[server.id].state == "RUNNING"
    await compute.assert_consistent()


async def test_what_its_image_asks_of_a_host_holds_where_it_moves_to(compute: Cloud) -> None:
    compute.image.properties["trait:HW_CPU_X86_AVX2"] = "required"
    for node in compute.nodes:
        compute.placement.providers[node.id].traits.append("HW_CPU_X86_AVX2")
    server, _ = await booted(compute, from_image=True)
    other = next(node for node in compute.nodes if node is not compute.host_of(server))
    compute.placement.providers[other.id].traits[:] = []
    kept = await migrated(compute, server)
    assert (status(kept), "AVX2" in kept.status_reason) == ("ACTIVE", True)
    del compute.images.images[compute.image.id]  # nobody knows any more what it asked for
    assert status(await migrated(compute, server)) == "VERIFY_RESIZE"
    await compute.assert_consistent()


async def test_the_quota_counts_the_larger_size_until_it_is_decided(compute: Cloud) -> None:
    compute.house.limits.limits = {"vcpus": 2}
    server = await compute.member.boot(**compute.wish)
    with pytest.raises(CloudError) as refused:
        await resized(compute, server, (await flavor(compute, vcpus=3)).id)
    assert refused.value.reason == "QUOTA_EXCEEDED"
    await resized(compute, server, (await flavor(compute, vcpus=2)).id)
    with pytest.raises(CloudError) as refused:
        await compute.member.boot(**compute.wish)
    assert refused.value.reason == "QUOTA_EXCEEDED"
    await reverted(compute, server)
    assert status(await compute.member.boot(**compute.wish)) == "ACTIVE"
    await compute.assert_consistent()


async def test_what_cannot_be_had_is_refused_before_anything_happens(compute: Cloud) -> None:
    server = await compute.member.boot(**compute.wish)
    private = await compute.admin.flavors.CreateFlavor(
        CreateFlavorRequest(name="secret", vcpus=1, memory_mib=512, private=True)
    )
    for flavor_id, reason in (
        ((await flavor(compute, disk_gib=1)).id, "INVALID_ARGUMENT"),
        (server.flavor.id, "INVALID_ARGUMENT"),
        (private.id, "NOT_FOUND"),
        (ids.new(), "NOT_FOUND"),
    ):
        with pytest.raises(CloudError) as refused:
            await resized(compute, server, flavor_id)
        assert refused.value.reason == reason
    for call in (
        compute.member.servers.ConfirmResize(ConfirmResizeRequest(id=server.id)),
        compute.member.servers.RevertResize(RevertResizeRequest(id=server.id)),
    ):
        with pytest.raises(CloudError) as refused:
            await call
        assert refused.value.reason == "WRONG_STATUS"
    assert compute.host_of(server).calls.count("StopGuest") == 0


async def test_another_projects_server_is_not_there_to_be_resized(compute: Cloud) -> None:
    server, large = await compute.member.boot(**compute.wish), await flavor(compute)
    await resized(compute, server, large.id)
    for id in (server.id, ids.new()):
        for call in (
            compute.stranger.servers.ResizeServer(ResizeServerRequest(id=id, flavor_id=large.id)),
            compute.stranger.servers.ConfirmResize(ConfirmResizeRequest(id=id)),
            compute.stranger.servers.RevertResize(RevertResizeRequest(id=id)),
        ):
            with pytest.raises(CloudError) as refused:
                await call
            assert refused.value.reason == "NOT_FOUND"


async def test_a_waiting_server_waits_whatever_its_guest_does_and_can_be_deleted(compute: Cloud) -> None:
    server, _ = await booted(compute, from_image=True)
    fill(compute, server)
    await resized(compute, server, (await flavor(compute)).id)
    old = next(n for n in compute.nodes if n.guests[server.id].state == "SHUTOFF")
    new = next(n for n in compute.nodes if n is not old)
    for node, told in ((new, "CRASHED"), (new, "SHUTOFF"), (old, "GONE")):
        report = ReportGuestEventsRequest(host_id=node.id, events=[event(server, told)])
        await compute.agent(node).ReportGuestEvents(report)
        assert status(await compute.member.get(server.id)) == "VERIFY_RESIZE"
    runtime = compute.runtime
    app = App(runtime.database, runtime.peers, Nodes(runtime.peers, runtime.database))
    await Reconciler(app).free_orphans()
    await Reconciler(app).compare_guests()
    assert [server.id in node.guests for node in (old, new)] == [True, True]
    assert compute.telemetry.warnings == set()
    assert len(compute.placement.consumers) == 2
    await compute.member.delete(server)
    await compute.assert_consistent()
    assert compute.placement.consumers == {}


async def test_one_that_nobody_decides_on_is_confirmed_in_time(compute: Cloud) -> None:
    server, runtime = await compute.member.boot(**compute.wish), compute.runtime
    app = App(runtime.database, runtime.peers, Nodes(runtime.peers, runtime.database))
    large = await flavor(compute)
    await resized(compute, server, large.id)
    for never in (0, 3600):
        await confirmations.confirm(app, never)
        assert status(await compute.member.settled(server)) == "VERIFY_RESIZE"
    await clock_passes(compute, server)
    await confirmations.confirm(app, 3600)
    ended = await compute.member.settled(server)
    assert (status(ended), ended.flavor.id) == ("ACTIVE", large.id)
    await compute.assert_consistent()


async def clock_passes(compute: Cloud, server: Server) -> None:
    """Its resize was two hours ago."""
    at = (clock.now() - timedelta(hours=2)).isoformat()

    def change(connection: Connection) -> None:
        row = servers.get(connection, server.id, None)
        servers.change(connection, server.id, {"resize": {**row.resize, "at": at}})

    await compute.runtime.database.write(change)


async def test_a_host_that_cannot_take_it_leaves_it_where_it_was(compute: Cloud) -> None:
    server, _ = await booted(compute, from_image=True)
    old = compute.host_of(server)
    new = next(node for node in compute.nodes if node is not old)
    new.fail("DefineGuest", broken("The disk is full."))
    kept = await migrated(compute, server)
    assert (status(kept), kept.host_id, kept.status_reason) == ("ACTIVE", old.id, "The disk is full.")
    assert old.guests[server.id].state == "RUNNING"
    await compute.assert_consistent()
