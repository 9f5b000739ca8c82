"""Servers are started, stopped and restarted, and never between two operations at once."""

import asyncio

import pytest
from google.protobuf.duration_pb2 import Duration

from mesh.errors import CloudError
from tests.services.compute.cloud import Cloud, event, status
from tests.services.compute.fakes.faults import away, broken
from weft.compute.v1.host_service_pb2 import ReportGuestEventsRequest
from weft.compute.v1.resources_pb2 import Server
from weft.compute.v1.server_service_pb2 import (
    RebootServerRequest,
    RebootType,
    StartServerRequest,
    StopServerRequest,
)


async def _stopped(compute: Cloud, server: Server) -> Server:
    return await compute.member.settled(
        await compute.member.servers.StopServer(StopServerRequest(id=server.id))
    )


async def test_a_server_is_stopped_and_started(compute: Cloud) -> None:
    made = await compute.member.boot(**compute.wish)
    begun = await compute.member.servers.StopServer(StopServerRequest(id=made.id))
    assert status(begun) == "STOPPING"
    stopped = await compute.member.settled(begun)
    assert status(stopped) == "STOPPED"
    node = compute.host_of(made)
    assert (node.guests[made.id].state, node.grace) == ("SHUTOFF", 60)
    again = await compute.member.servers.StartServer(StartServerRequest(id=made.id))
    assert status(again) == "STARTING"
    started = await compute.member.settled(again)
    assert status(started) == "ACTIVE"
    assert started.launched_at.ToDatetime() > made.launched_at.ToDatetime()
    await compute.assert_consistent()


async def test_the_grace_is_the_callers(compute: Cloud) -> None:
    made = await compute.member.boot(**compute.wish)
    by_force = StopServerRequest(id=made.id, grace=Duration())
    await compute.member.settled(await compute.member.servers.StopServer(by_force))
    assert compute.host_of(made).grace == 0


async def test_a_reboot_is_soft_or_hard_and_a_hard_one_starts_what_is_off(compute: Cloud) -> None:
    made = await compute.member.boot(**compute.wish)
    node = compute.host_of(made)
    for kind, hard in ((RebootType.REBOOT_TYPE_SOFT, False), (RebootType.REBOOT_TYPE_HARD, True)):
        begun = await compute.member.servers.RebootServer(RebootServerRequest(id=made.id, type=kind))
        assert status(begun) == "REBOOTING"
        assert status(await compute.member.settled(begun)) == "ACTIVE"
        assert node.hard is hard
    await _stopped(compute, made)
    soft = RebootServerRequest(id=made.id, type=RebootType.REBOOT_TYPE_SOFT)
    with pytest.raises(CloudError, match="is STOPPED"):
        await compute.member.servers.RebootServer(soft)
    hard = RebootServerRequest(id=made.id, type=RebootType.REBOOT_TYPE_HARD)
    back = await compute.member.settled(await compute.member.servers.RebootServer(hard))
    assert status(back) == "ACTIVE"
    assert node.guests[made.id].state == "RUNNING"


async def test_a_server_without_a_guest_cannot_be_rebooted(compute: Cloud) -> None:
    compute.networks.fail("CreatePort", broken())
    failed = await compute.member.boot(**compute.wish)
    hard = RebootServerRequest(id=failed.id, type=RebootType.REBOOT_TYPE_HARD)
    with pytest.raises(CloudError, match="without a guest") as refused:
        await compute.member.servers.RebootServer(hard)
    assert refused.value.reason == "WRONG_STATUS"


async def test_a_failure_that_passes_is_tried_again_and_one_for_good_is_told(compute: Cloud) -> None:
    made = await compute.member.boot(**compute.wish)
    compute.host_of(made).fail("StopGuest", away(), away())
    assert status(await _stopped(compute, made)) == "STOPPED"
    compute.host_of(made).fail("StartGuest", broken("It does not start."))
    begun = await compute.member.servers.StartServer(StartServerRequest(id=made.id))
    failed = await compute.member.settled(begun)
    assert (status(failed), failed.status_reason) == ("STOPPED", "It does not start.")
    begun = await compute.member.servers.StartServer(StartServerRequest(id=made.id))
    started = await compute.member.settled(begun)
    assert (status(started), started.status_reason) == ("ACTIVE", "")


async def test_what_happened_meanwhile_shows_when_an_operation_fails(compute: Cloud) -> None:
    made = await compute.member.boot(**compute.wish)
    node = compute.host_of(made)
    gate = node.hold("RebootGuest")
    soft = RebootServerRequest(id=made.id, type=RebootType.REBOOT_TYPE_SOFT)
    begun = await compute.member.servers.RebootServer(soft)
    told = ReportGuestEventsRequest(host_id=node.id, events=[event(made, "SHUTOFF")])
    await compute.agent(node).ReportGuestEvents(told)
    assert status(await compute.member.get(made.id)) == "REBOOTING"
    node.fail("RebootGuest", broken())
    gate.set()
    assert status(await compute.member.settled(begun)) == "STOPPED"


async def test_of_twenty_at_once_one_stops_the_server(compute: Cloud) -> None:
    made = await compute.member.boot(**compute.wish)
    compute.host_of(made).hold("StopGuest")
    stop = StopServerRequest(id=made.id)
    calls = (compute.member.servers.StopServer(stop) for _ in range(20))
    answers = await asyncio.gather(*calls, return_exceptions=True)
    refused = [answer for answer in answers if isinstance(answer, CloudError)]
    assert len(refused) == 19
    assert {error.reason for error in refused} == {"WRONG_STATUS"}
    compute.host_of(made).hold("StopGuest").set()
    await compute.member.settled(made)
