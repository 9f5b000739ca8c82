"""Servers as callers see them: read, listed, changed, watched; and never across projects."""

import asyncio
from typing import Any

import pytest
from google.protobuf.timestamp_pb2 import Timestamp

from mesh import ids
from mesh.errors import CloudError
from services.compute import model
from tests.services.compute.cloud import Cloud, User, status
from tests.services.compute.fakes.faults import away
from tests.services.harness import until
from weft.compute.v1 import server_service_pb2
from weft.compute.v1.resources_pb2 import Server, ServerStatus
from weft.compute.v1.server_service_pb2 import (
    CreateServerRequest,
    FollowConsoleRequest,
    GetConsoleOutputRequest,
    ListServersRequest,
    RebootType,
    StopServerRequest,
    UpdateServerRequest,
    WatchServersRequest,
)
from weft.operation.v1.operation_pb2 import CancelOperationRequest, GetOperationRequest, ListOperationsRequest


async def names(user: User, **filters: Any) -> list[str]:
    listed = await user.servers.ListServers(ListServersRequest(**filters))
    return [server.name for server in listed.servers]


async def update(compute: Cloud, server: Server, *paths: str, revision: int = 0, **fields: Any) -> Server:
    request = UpdateServerRequest(id=server.id, server=Server(**fields), expected_revision=revision)
    request.update_mask.paths.extend(paths)
    return await compute.member.servers.UpdateServer(request)


async def test_lists_are_filtered_and_come_in_pages(compute: Cloud) -> None:
    wish = compute.wish | {"no_network": True}
    for name, tags in (("web-1", ["a"]), ("web_2", ["a", 'b"%_']), ("db", [])):
        await compute.member.boot(**(wish | {"name": name, "tags": tags}))
    assert await names(compute.member, name_prefix="web") == ["web-1", "web_2"]
    assert await names(compute.member, name_prefix="web_") == ["web_2"]
    assert await names(compute.member, name_prefix="WEB") == []
    assert await names(compute.member, tags=["a", 'b"%_']) == ["web_2"]
    assert await names(compute.member, tags=["b"]) == []
    assert await names(compute.member, flavor_id=compute.flavor.id) == ["web-1", "web_2", "db"]
    assert await names(compute.member, image_id=ids.new()) == []
    assert await names(compute.member, statuses=[ServerStatus.SERVER_STATUS_ERROR]) == []
    later = Timestamp()
    later.GetCurrentTime()
    assert await names(compute.member, changed_since=later) == []
    first = await compute.member.servers.ListServers(ListServersRequest(page_size=2))
    rest = ListServersRequest(page_size=2, page_token=first.next_page_token)
    assert [server.name for server in (await compute.member.servers.ListServers(rest)).servers] == ["db"]
    with pytest.raises(CloudError) as foreign:
        await compute.stranger.servers.ListServers(rest)
    assert foreign.value.reason == "PAGE_TOKEN_INVALID"


async def test_another_projects_server_is_not_found_by_any_call(compute: Cloud) -> None:
    made = await compute.member.boot(**compute.wish)
    volume = compute.block.add_volume(compute.stranger.project_id)
    calls = {
        "GetServer": {},
        "UpdateServer": {"server": Server(name="mine")},
        "DeleteServer": {},
        "StartServer": {},
        "StopServer": {},
        "RebootServer": {"type": RebootType.REBOOT_TYPE_HARD},
        "GetConsoleOutput": {},
        "AttachVolume": {"volume_id": volume.id},
        "DetachVolume": {"volume_id": volume.id},
    }
    for rpc, fields in calls.items():
        request = getattr(server_service_pb2, f"{rpc}Request")
        refusals = []
        for id in (made.id, ids.new()):
            with pytest.raises(CloudError) as refused:
                await getattr(compute.stranger.servers, rpc)(request(id=id, **fields))
            refusals.append((refused.value.reason, refused.value.message.replace(id, "ID")))
        assert refusals[0] == refusals[1] == ("NOT_FOUND", "There is no server ID."), rpc
    with pytest.raises(CloudError) as refused:
        async for _ in compute.stranger.servers.FollowConsole(FollowConsoleRequest(id=made.id)):
            pass
    assert refused.value.reason == "NOT_FOUND"
    assert await names(compute.stranger) == []
    assert (await compute.member.get(made.id)).revision == made.revision
    operations = await compute.member.operations.ListOperations(ListOperationsRequest(target_id=made.id))
    id = operations.operations[0].id
    for call in (
        compute.stranger.operations.GetOperation(GetOperationRequest(id=id)),
        compute.stranger.operations.CancelOperation(CancelOperationRequest(id=id)),
    ):
        with pytest.raises(CloudError) as refused:
            await call
        assert refused.value.reason == "NOT_FOUND"


async def test_only_administrators_see_hosts_and_other_projects(compute: Cloud) -> None:
    made = await compute.member.boot(**compute.wish)
    beside = [await compute.member.boot(**compute.wish) for _ in range(3)]
    seen = await compute.admin.get(made.id)
    assert (seen.host_id, seen.host_name) == (compute.host_of(made).id, compute.host_of(made).name)
    assert (made.host_id, made.host_name) == ("", "")
    by_host = {compute.host_of(server).id: server.host_fingerprint for server in (made, *beside)}
    assert len(set(by_host.values())) == len(by_host)
    assert made.host_fingerprint == model.host_fingerprint(made.project_id, seen.host_id)
    assert len(await names(compute.admin, project_id=compute.member.project_id)) == 4
    assert len(await names(compute.admin, host_id=seen.host_id)) >= 1
    for filters in ({"host_id": seen.host_id}, {"project_id": compute.stranger.project_id}):
        with pytest.raises(CloudError) as refused:
            await names(compute.member, **filters)
        assert refused.value.reason == "PERMISSION_DENIED"
    assert len(await names(compute.member, project_id=compute.member.project_id)) == 4


async def test_changes_are_masked_and_compared(compute: Cloud) -> None:
    made = await compute.member.boot(**compute.wish, metadata={"a": "1"}, tags=["x"])
    changed = await update(compute, made, name="new", description="d")
    assert (changed.name, changed.description, changed.metadata) == ("new", "d", {"a": "1"})
    at = await update(compute, changed, access_ipv4="192.0.2.7", access_ipv6="2001:db8::7")
    assert (at.access_ipv4, at.access_ipv6) == ("192.0.2.7", "2001:db8::7")
    cleared = await update(compute, changed, "metadata", "tags", "access_ipv4", metadata={})
    assert (cleared.access_ipv4, cleared.access_ipv6) == ("", "2001:db8::7")
    assert (cleared.name, cleared.metadata, list(cleared.tags)) == ("new", {}, [])
    with pytest.raises(CloudError) as stale:
        await update(compute, made, revision=made.revision, name="late")
    assert stale.value.reason == "REVISION_MISMATCH"
    for paths in (("status",), ("host_id",), ("no_such",)):
        with pytest.raises(CloudError) as refused:
            await update(compute, made, *paths, name="x")
        assert refused.value.reason == "INVALID_ARGUMENT"
    with pytest.raises(CloudError) as nameless:
        await update(compute, made, "name")
    assert nameless.value.reason == "INVALID_ARGUMENT"


async def test_a_guest_is_told_of_changed_metadata_as_soon_as_its_host_answers(compute: Cloud) -> None:
    made = await compute.member.boot(**compute.wish, user_data=b"#cloud-config")
    node = compute.host_of(made)
    node.fail("UpdateMetadata", away())
    await update(compute, made, metadata={"role": "db"})

    async def tried() -> bool:
        return "UpdateMetadata" in node.calls

    async def told() -> bool:
        return node.metadata(made.id).metadata == {"role": "db"}

    await until(tried)
    assert not await told()
    await update(compute, made, name="nudge")
    await until(told)
    assert node.metadata(made.id).user_data == b"#cloud-config"


async def test_a_watcher_sees_each_change_and_only_its_projects(compute: Cloud) -> None:
    seen: list[tuple[str, str]] = []

    async def watch(user: User, into: list[tuple[str, str]]) -> None:
        async for change in user.servers.WatchServers(WatchServersRequest()):
            assert change.server.host_id == ""
            into.append((change.type, status(change.server)))

    foreign: list[tuple[str, str]] = []
    watching = [
        asyncio.create_task(watch(compute.member, seen)),
        asyncio.create_task(watch(compute.stranger, foreign)),
    ]
    await asyncio.sleep(0.2)
    made = await compute.member.boot(**compute.wish)
    await compute.member.delete(made)

    async def over() -> bool:
        return ("DELETED", "DELETING") in seen

    await until(over)
    for task in watching:
        task.cancel()
    assert seen == [
        ("CREATED", "BUILDING"),
        ("UPDATED", "ACTIVE"),
        ("UPDATED", "DELETING"),
        ("DELETED", "DELETING"),
    ]
    assert foreign == []


async def test_the_console_is_read_from_its_end_and_followed_until_the_guest_is_off(compute: Cloud) -> None:
    made = await compute.member.boot(**compute.wish)
    machine = compute.host_of(made).guests[made.id]
    machine.console = "one\ntwo\nthree ü\n".encode() + b"\xff"
    output = await compute.member.servers.GetConsoleOutput(GetConsoleOutputRequest(id=made.id, lines=2))
    assert output.output == "three ü\n�"
    assert output.size_bytes == len(machine.console)
    followed: list[str] = []

    async def follow() -> None:
        async for part in compute.member.servers.FollowConsole(FollowConsoleRequest(id=made.id, offset=4)):
            followed.append(part.output)

    following = asyncio.create_task(follow())

    async def began() -> bool:
        return bool(followed)

    await until(began)
    machine.console += b"four\n"
    await compute.member.servers.StopServer(StopServerRequest(id=made.id))
    async with asyncio.timeout(5):
        await following
    assert "".join(followed) == "two\nthree ü\n�four\n"


async def test_a_server_that_never_ran_has_an_empty_console(compute: Cloud) -> None:
    failed = await compute.member.boot(**compute.wish, availability_zone="moon")
    output = await compute.member.servers.GetConsoleOutput(GetConsoleOutputRequest(id=failed.id))
    assert (output.output, output.size_bytes) == ("", 0)
    parts = compute.member.servers.FollowConsole(FollowConsoleRequest(id=failed.id))
    assert [part async for part in parts] == []


async def test_user_data_is_in_no_operation_event_or_answer(compute: Cloud) -> None:
    secret = b"hunter2-in-user-data"
    begun = await compute.member.servers.CreateServer(CreateServerRequest(**compute.wish, user_data=secret))
    made = await compute.member.settled(begun)
    assert compute.host_of(made).metadata(made.id).user_data == secret
    path = compute.runtime.database.backend.file

    def tables_with_secret(connection: Any) -> list[str]:
        found = []
        for table in connection.exec_driver_sql("SELECT name FROM sqlite_master WHERE type = 'table'"):
            rows = connection.exec_driver_sql(f'SELECT * FROM "{table.name}"').all()
            if any(secret in (v if isinstance(v, bytes) else str(v).encode()) for row in rows for v in row):
                found.append(table.name)
        return found

    assert path is not None
    assert await compute.runtime.database.read(tables_with_secret) == ["user_data"]
    await compute.member.delete(made)
    assert await compute.runtime.database.read(tables_with_secret) == []


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("Web Server 1", "web-server-1"),
        ("--x--", "x"),
        ("a" * 80, "a" * 63),
        ("日本", "server-ID"),
        ("a.b_c", "a-b-c"),
    ],
)
def test_a_hostname_is_fit_for_dns(name: str, expected: str) -> None:
    assert model.hostname(name, "ID") == expected
