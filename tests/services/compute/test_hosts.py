"""Hosts register, live and fall silent; what they say of their guests is believed of their own alone."""

from datetime import timedelta

import pytest

from mesh import clock, ids
from mesh.errors import CloudError
from services.compute.flows.app import App
from services.compute.nodes import Nodes
from services.compute.pace import SILENCE
from services.compute.reconcile import Reconciler
from services.compute.store import hosts, servers
from services.compute.tables import servers as servers_table
from tests.services.compute.cloud import Cloud, event, status
from tests.services.compute.fakes.faults import broken
from tests.services.compute.fakes.node import Node
from weft.compute.v1.host_service_pb2 import (
    GetHostRequest,
    HeartbeatRequest,
    ListHostsRequest,
    ReadmitHostRequest,
    RegisterHostRequest,
    ReportGuestEventsRequest,
    UpdateHostRequest,
)
from weft.compute.v1.resources_pb2 import Host, HostStatus, Server
from weft.compute.v1.server_service_pb2 import RebootServerRequest, RebootType
from weft.placement.v1.resources_pb2 import Allocation, Consumer


def reconciler(compute: Cloud) -> Reconciler:
    runtime = compute.runtime
    return Reconciler(App(runtime.database, runtime.peers, Nodes(runtime.peers, runtime.database)))


async def report(compute: Cloud, server: Server, state: str, **fields: object) -> Server:
    """Its host says so; the server then."""
    node = compute.host_of(server)
    told = ReportGuestEventsRequest(host_id=node.id, events=[event(server, state, **fields)])
    await compute.agent(node).ReportGuestEvents(told)
    return await compute.member.get(server.id)


async def test_a_host_that_registers_is_in_placement_with_its_ratio_and_reserve(compute: Cloud) -> None:
    node = compute.nodes[0]
    again = await compute.register(node, traits=["HW_CPU_X86_AVX2"])
    assert (again.epoch, again.status) == (2, HostStatus.HOST_STATUS_UP)
    assert compute.placement.capacity(node.id) == {"VCPU": 16, "MEMORY_MB": 7680, "DISK_GB": 100}
    assert list(compute.placement.providers[node.id].traits) == ["HW_CPU_X86_AVX2"]
    listed = await compute.admin.hosts.ListHosts(ListHostsRequest(name="beta"))
    assert [host.id for host in listed.hosts] == [compute.nodes[1].id]
    with pytest.raises(CloudError) as refused:
        await compute.member.hosts.ListHosts(ListHostsRequest())
    assert refused.value.reason == "PERMISSION_DENIED"


async def test_a_certificate_speaks_for_its_own_host(compute: Cloud) -> None:
    alpha, beta = compute.nodes
    stolen = Host(id=beta.id, name="beta", address="127.0.0.1:1")
    for call in (
        compute.agent(alpha).RegisterHost(RegisterHostRequest(host=stolen)),
        compute.agent(alpha).Heartbeat(HeartbeatRequest(id=beta.id, epoch=1)),
        compute.agent(alpha).ReportGuestEvents(ReportGuestEventsRequest(host_id=beta.id, complete=True)),
    ):
        with pytest.raises(CloudError) as refused:
            await call
        assert refused.value.reason == "PERMISSION_DENIED"
    await compute.agent(beta).Heartbeat(HeartbeatRequest(id=beta.id, epoch=1))
    with pytest.raises(CloudError) as not_a_host:
        await compute.member.hosts.Heartbeat(HeartbeatRequest(id=beta.id, epoch=1))
    assert not_a_host.value.reason == "AUDIENCE_REFUSED"


async def test_an_agent_that_was_replaced_is_fenced_off(compute: Cloud) -> None:
    node = compute.nodes[0]
    await compute.register(node)
    agent = compute.agent(node)
    with pytest.raises(CloudError) as older:
        await agent.Heartbeat(HeartbeatRequest(id=node.id, epoch=1))
    assert older.value.reason == "WRONG_STATUS"
    answer = await agent.Heartbeat(HeartbeatRequest(id=node.id, epoch=2))
    assert answer.interval.seconds == 5
    with pytest.raises(CloudError) as unheard_of:
        await agent.Heartbeat(HeartbeatRequest(id=node.id, epoch=3))
    assert unheard_of.value.reason == "NOT_FOUND"


async def test_a_second_agent_with_a_hosts_identity_is_refused_while_the_first_lives(compute: Cloud) -> None:
    node = compute.nodes[0]
    first = await compute.register(node, place="here")
    agent = compute.agent(node)
    await agent.Heartbeat(HeartbeatRequest(id=node.id, epoch=first.epoch))
    with pytest.raises(CloudError) as copied:
        await compute.register(node, last_epoch=first.epoch, place="there")
    assert (copied.value.reason, "and lives" in copied.value.message) == ("WRONG_STATUS", True)
    restarted = await compute.register(node, last_epoch=first.epoch, place="here")
    assert restarted.epoch == first.epoch + 1
    await agent.Heartbeat(HeartbeatRequest(id=node.id, epoch=restarted.epoch))
    later = clock.now() + SILENCE + timedelta(seconds=1)
    with clock.told_by(lambda: later):  # the machine was restarted, or the first one is no more
        moved = await compute.register(node, last_epoch=restarted.epoch, place="there")
    assert moved.epoch == restarted.epoch + 1


async def test_an_agent_whose_disk_is_older_than_the_host_is_refused_until_it_is_readmitted(
    compute: Cloud,
) -> None:
    node = compute.nodes[0]
    agent = compute.agent(node)
    for last in (1, 2):
        epoch = (await compute.register(node, last_epoch=last, place="here")).epoch
        await agent.Heartbeat(HeartbeatRequest(id=node.id, epoch=epoch))
    with pytest.raises(CloudError) as restored:
        await compute.register(node, last_epoch=1, place="here")
    assert (restored.value.reason, "epoch 1" in restored.value.message) == ("WRONG_STATUS", True)
    with pytest.raises(CloudError) as not_an_admin:
        await compute.member.hosts.ReadmitHost(ReadmitHostRequest(id=node.id))
    assert not_an_admin.value.reason == "PERMISSION_DENIED"
    await compute.admin.hosts.ReadmitHost(ReadmitHostRequest(id=node.id))
    assert (await compute.register(node, last_epoch=1, place="here")).epoch == epoch + 1


async def test_an_agent_that_died_before_it_kept_its_epoch_is_believed(compute: Cloud) -> None:
    node = compute.nodes[0]
    kept = (await compute.register(node, last_epoch=1, place="here")).epoch
    await compute.agent(node).Heartbeat(HeartbeatRequest(id=node.id, epoch=kept))
    lost = (await compute.register(node, last_epoch=kept, place="here")).epoch
    assert (await compute.register(node, last_epoch=kept, place="here")).epoch == lost + 1


async def test_a_host_that_the_cloud_has_forgotten_goes_on_from_its_own_epoch(compute: Cloud) -> None:
    forgotten = Node("gamma", "unix:/gamma.sock")
    assert (await compute.register(forgotten, last_epoch=41, place="here")).epoch == 42


async def test_a_silent_host_is_down_and_takes_no_servers_until_it_is_heard_again(compute: Cloud) -> None:
    database, node = compute.runtime.database, compute.nodes[0]
    assert await database.write(hosts.mark_down, timedelta(seconds=30)) == []
    await compute.host_falls_silent(node)
    assert (await compute.admin.hosts.GetHost(GetHostRequest(id=node.id))).status == (
        HostStatus.HOST_STATUS_DOWN
    )
    made = [await compute.member.boot(**compute.wish) for _ in range(3)]
    assert {compute.host_of(server).name for server in made} == {"beta"}
    await compute.agent(node).Heartbeat(HeartbeatRequest(id=node.id, epoch=1))
    assert (await compute.admin.hosts.GetHost(GetHostRequest(id=node.id))).status == HostStatus.HOST_STATUS_UP


async def test_a_disabled_host_takes_no_new_servers(compute: Cloud) -> None:
    for node in compute.nodes:
        new = Host(disabled=True, disabled_reason="maintenance")
        await compute.admin.hosts.UpdateHost(UpdateHostRequest(id=node.id, host=new))
    failed = await compute.member.boot(**compute.wish)
    assert "enabled 2" in failed.status_reason
    there = UpdateHostRequest(id=compute.nodes[1].id, host=Host(availability_zone="moon"))
    there.update_mask.paths.extend(["disabled", "availability_zone"])
    await compute.admin.hosts.UpdateHost(there)
    made = await compute.member.boot(**compute.wish, availability_zone="moon")
    assert compute.host_of(made).name == "beta"


async def test_a_server_follows_its_guest(compute: Cloud) -> None:
    made = await compute.member.boot(**compute.wish)
    off = await report(compute, made, "SHUTOFF", detail="shutdown")
    assert status(off) == "STOPPED"
    assert status(await report(compute, made, "RUNNING")) == "ACTIVE"
    assert status(await report(compute, made, "PAUSED")) == "PAUSED"
    crashed = await report(compute, made, "CRASHED", detail="panicked")
    assert status(crashed) == "ERROR"
    assert "crashed (panicked)" in crashed.status_reason
    hard = RebootServerRequest(id=made.id, type=RebootType.REBOOT_TYPE_HARD)
    back = await compute.member.settled(await compute.member.servers.RebootServer(hard))
    assert (status(back), back.status_reason) == ("ACTIVE", "")


async def test_old_news_changes_nothing(compute: Cloud) -> None:
    made = await compute.member.boot(**compute.wish)
    node = compute.host_of(made)
    old = event(made, "SHUTOFF")
    old.occurred_at.seconds -= 60
    await compute.agent(node).ReportGuestEvents(ReportGuestEventsRequest(host_id=node.id, events=[old]))
    assert status(await compute.member.get(made.id)) == "ACTIVE"


async def test_another_host_says_nothing_of_a_guest_that_it_has_not(
    compute: Cloud, caplog: pytest.LogCaptureFixture
) -> None:
    made = await compute.member.boot(**compute.wish)
    other = next(node for node in compute.nodes if made.id not in node.guests)
    told = ReportGuestEventsRequest(host_id=other.id, events=[event(made, "SHUTOFF")], complete=True)
    await compute.agent(other).ReportGuestEvents(told)
    assert status(await compute.member.get(made.id)) == "ACTIVE"
    assert f"host {other.id} has a guest of server {made.id}, which is not there" in caplog.text


async def test_a_guest_that_a_complete_report_does_not_name_is_lost(compute: Cloud) -> None:
    made = await compute.member.boot(**compute.wish)
    node = compute.host_of(made)
    everything = ReportGuestEventsRequest(host_id=node.id, complete=True)
    await compute.agent(node).ReportGuestEvents(everything)
    assert status(await compute.member.get(made.id)) == "ACTIVE", "a guest that young may have been missed"
    old = {"launched_at": clock.now() - timedelta(minutes=1)}
    await compute.runtime.database.write(servers.change, made.id, old)
    await compute.agent(node).ReportGuestEvents(everything)
    lost = await compute.member.get(made.id)
    assert status(lost) == "ERROR"
    assert "is lost" in lost.status_reason
    assert status(await report(compute, made, "RUNNING")) == "ACTIVE"


async def test_the_sweep_sees_what_no_event_told(compute: Cloud) -> None:
    running, lost = [await compute.member.boot(**compute.wish) for _ in range(2)]
    compute.host_of(running).guests[running.id].state = "SHUTOFF"
    del compute.host_of(lost).guests[lost.id]
    compute.nodes[0].guests[ids.new()] = next(iter(compute.host_of(running).guests.values()))
    await reconciler(compute).compare_guests()
    assert status(await compute.member.get(running.id)) == "STOPPED"
    assert status(await compute.member.get(lost.id)) == "ERROR"


async def test_the_sweep_leaves_servers_alone_that_changed_while_it_asked(compute: Cloud) -> None:
    from services.compute.reconcile import _compare

    made = await compute.member.boot(**compute.wish)
    before = clock.now() - timedelta(minutes=1)
    await compute.runtime.database.write(_compare, compute.host_of(made).id, [], before)
    assert status(await compute.member.get(made.id)) == "ACTIVE"
    await compute.runtime.database.write(_compare, compute.host_of(made).id, [], clock.now())
    assert status(await compute.member.get(made.id)) == "ERROR"


async def test_claims_of_servers_that_are_gone_are_given_back(compute: Cloud) -> None:
    made = await compute.member.boot(**compute.wish)
    allocation = Allocation(provider_id=compute.nodes[0].id, resources={"VCPU": 1})
    for id, kind in ((ids.new(), "server"), (ids.new(), "volume")):
        ghost = Consumer(id=id, consumer_type=kind, allocations=[allocation])
        compute.placement.consumers[id] = ghost
    await reconciler(compute).free_orphans()
    kinds = {consumer.id: consumer.consumer_type for consumer in compute.placement.consumers.values()}
    assert kinds.pop(made.id) == "server"
    assert list(kinds.values()) == ["volume"]


async def test_a_claim_that_came_after_its_boot_was_undone_is_given_back(compute: Cloud) -> None:
    made = await compute.member.boot(**compute.wish)
    failed = await compute.member.boot(**compute.wish, availability_zone="moon")
    assert status(failed) == "ERROR"
    late = Allocation(provider_id=compute.nodes[0].id, resources={"VCPU": 1})
    claim = Consumer(id=failed.id, consumer_type="server", allocations=[late])
    compute.placement.consumers[failed.id] = claim
    await reconciler(compute).free_orphans()
    assert list(compute.placement.consumers) == [made.id]


async def test_a_server_in_transition_without_an_operation_is_settled(compute: Cloud) -> None:
    fine = await compute.member.boot(**compute.wish)
    stranded = await compute.member.boot(**compute.wish)
    values = {"status": "STOPPING", "operation_id": ids.new(), "revision": servers_table.c.revision + 1}
    change = servers_table.update().where(servers_table.c.id == stranded.id).values(**values)
    await compute.runtime.database.write(lambda connection: connection.execute(change).rowcount)
    await reconciler(compute).settle_stranded()
    assert status(await compute.member.get(stranded.id)) == "ERROR"
    assert status(await compute.member.get(fine.id)) == "ACTIVE"


async def test_a_host_in_trouble_does_not_keep_the_sweep_from_others(compute: Cloud) -> None:
    made = [await compute.member.boot(**compute.wish) for _ in range(4)]
    for server in made:
        compute.host_of(server).guests[server.id].state = "SHUTOFF"
    compute.nodes[0].fail("ListGuests", broken())
    await reconciler(compute).compare_guests()
    states = {compute.host_of(server).name: status(await compute.member.get(server.id)) for server in made}
    assert states == {"alpha": "ACTIVE", "beta": "STOPPED"}
