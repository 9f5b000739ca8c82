"""Servers are paused and suspended, and locked against changes."""

from typing import Any

import pytest

from mesh import ids
from mesh.errors import CloudError
from tests.services.compute.cloud import Cloud, User, event, status
from tests.services.compute.fakes.faults import broken
from tests.services.harness import person
from weft.compute.v1.host_service_pb2 import ReportGuestEventsRequest
from weft.compute.v1.resources_pb2 import LockHolder, Server
from weft.compute.v1.server_service_pb2 import (
    DeleteServerRequest,
    LockServerRequest,
    PauseServerRequest,
    RebootServerRequest,
    RebootType,
    ResumeServerRequest,
    StopServerRequest,
    SuspendServerRequest,
    UnlockServerRequest,
    UnpauseServerRequest,
    UpdateServerRequest,
)

CALLS = {
    "PauseServer": PauseServerRequest,
    "UnpauseServer": UnpauseServerRequest,
    "SuspendServer": SuspendServerRequest,
    "ResumeServer": ResumeServerRequest,
}


async def _done(compute: Cloud, rpc: str, server: Server) -> Server:
    begun = await getattr(compute.member.servers, rpc)(CALLS[rpc](id=server.id))
    return await compute.member.settled(begun)


@pytest.mark.parametrize(
    ("there", "during", "then", "guest", "back", "during_back"),
    [
        ("PauseServer", "PAUSING", "PAUSED", "PAUSED", "UnpauseServer", "UNPAUSING"),
        ("SuspendServer", "SUSPENDING", "SUSPENDED", "SHUTOFF", "ResumeServer", "RESUMING"),
    ],
)
async def test_a_server_is_stilled_and_runs_on(
    compute: Cloud, there: str, during: str, then: str, guest: str, back: str, during_back: str
) -> None:
    made = await compute.member.boot(**compute.wish)
    node, member = compute.host_of(made), compute.member
    begun = await getattr(member.servers, there)(CALLS[there](id=made.id))
    assert status(begun) == during
    assert status(await member.settled(begun)) == then
    assert node.guests[made.id].state == guest
    with pytest.raises(CloudError, match=then) as refused:
        await getattr(member.servers, there)(CALLS[there](id=made.id))
    assert refused.value.reason == "WRONG_STATUS"
    begun = await getattr(member.servers, back)(CALLS[back](id=made.id))
    assert status(begun) == during_back
    assert status(await member.settled(begun)) == "ACTIVE"
    assert node.guests[made.id].state == "RUNNING"
    await compute.assert_consistent()


async def test_a_suspended_server_stays_so_while_its_guest_is_off(compute: Cloud) -> None:
    made = await compute.member.boot(**compute.wish)
    node = compute.host_of(made)
    await _done(compute, "SuspendServer", made)
    for told, then in (("SHUTOFF", "SUSPENDED"), ("RUNNING", "ACTIVE"), ("SHUTOFF", "STOPPED")):
        report = ReportGuestEventsRequest(host_id=node.id, events=[event(made, told)])
        await compute.agent(node).ReportGuestEvents(report)
        assert status(await compute.member.get(made.id)) == then


async def test_a_hard_reboot_brings_a_suspended_server_back_and_a_deletion_ends_it(compute: Cloud) -> None:
    made = await compute.member.boot(**compute.wish)
    await _done(compute, "SuspendServer", made)
    hard = RebootServerRequest(id=made.id, type=RebootType.REBOOT_TYPE_HARD)
    back = await compute.member.settled(await compute.member.servers.RebootServer(hard))
    assert status(back) == "ACTIVE"
    await _done(compute, "SuspendServer", made)
    await compute.member.delete(made)
    await compute.assert_consistent()


async def test_what_cannot_be_suspended_runs_on_and_says_why(compute: Cloud) -> None:
    made = await compute.member.boot(**compute.wish)
    compute.host_of(made).fail("SuspendGuest", broken("No room for its memory."))
    kept = await _done(compute, "SuspendServer", made)
    assert (status(kept), kept.status_reason) == ("ACTIVE", "No room for its memory.")


async def _refused(call: Any) -> CloudError:
    with pytest.raises(CloudError) as refused:
        await call
    return refused.value


async def test_a_locked_server_refuses_changes_but_of_administrators(compute: Cloud) -> None:
    made = await compute.member.boot(**compute.wish)
    member, id = compute.member.servers, made.id
    locked = await member.LockServer(LockServerRequest(id=id, reason="in production"))
    assert (locked.lock.holder, locked.lock.reason) == (LockHolder.LOCK_HOLDER_OWNER, "in production")
    renamed = UpdateServerRequest(id=id, server=Server(name="other"))
    for call in (
        member.StopServer(StopServerRequest(id=id)),
        member.PauseServer(PauseServerRequest(id=id)),
        member.UpdateServer(renamed),
        member.DeleteServer(DeleteServerRequest(id=id)),
    ):
        error = await _refused(call)
        assert (error.reason, error.metadata["locked_by"]) == ("LOCKED", "owner")
        assert "in production" in error.message
    by_admin = await compute.admin.servers.PauseServer(PauseServerRequest(id=id))
    assert status(await compute.admin.settled(by_admin)) == "PAUSED"
    unlocked = await member.UnlockServer(UnlockServerRequest(id=id))
    assert not unlocked.HasField("lock")
    assert (await member.UpdateServer(renamed)).name == "other"


async def test_who_else_is_in_the_project_may_unlock_but_not_what_an_administrator_locked(
    compute: Cloud,
) -> None:
    made = await compute.member.boot(**compute.wish)
    colleague = User(compute, person(compute.member.project_id, "member", "reader"))
    await compute.member.servers.LockServer(LockServerRequest(id=made.id))
    await colleague.servers.UnlockServer(UnlockServerRequest(id=made.id))
    await compute.admin.servers.LockServer(LockServerRequest(id=made.id, reason="suspected"))
    again = await compute.member.servers.LockServer(LockServerRequest(id=made.id, reason="mine"))
    assert (again.lock.holder, again.lock.reason) == (LockHolder.LOCK_HOLDER_ADMIN, "suspected")
    error = await _refused(colleague.servers.UnlockServer(UnlockServerRequest(id=made.id)))
    assert error.reason == "PERMISSION_DENIED"
    freed = await compute.admin.servers.UnlockServer(UnlockServerRequest(id=made.id))
    assert not freed.HasField("lock")


async def test_anothers_server_is_not_there_to_be_stilled_or_locked(compute: Cloud) -> None:
    made = await compute.member.boot(**compute.wish)
    calls = {**CALLS, "LockServer": LockServerRequest, "UnlockServer": UnlockServerRequest}
    for rpc, request in calls.items():
        for id in (made.id, ids.new()):
            error = await _refused(getattr(compute.stranger.servers, rpc)(request(id=id)))
            assert error.reason == "NOT_FOUND", rpc
