"""Lists of servers: what can be looked for, and in which order they come."""

from typing import Any

from google.protobuf.timestamp_pb2 import Timestamp

from tests.services.compute.cloud import Cloud, User
from weft.compute.v1.flavor_service_pb2 import CreateFlavorRequest, GetFlavorRequest
from weft.compute.v1.resources_pb2 import Server
from weft.compute.v1.server_service_pb2 import (
    ListServersRequest,
    LockServerRequest,
    ServerSortKey,
    StopServerRequest,
    UnlockServerRequest,
    UpdateServerRequest,
)


async def _names(user: User, **filters: Any) -> list[str]:
    """Over all pages, each of one server: the order is that of the keys, not of luck."""
    found: list[str] = []
    request = ListServersRequest(page_size=1, **filters)
    while True:
        answer = await user.servers.ListServers(request)
        found += [server.name for server in answer.servers]
        if not answer.next_page_token:
            return found
        request.page_token = answer.next_page_token


async def test_servers_are_found_by_what_they_are_called_and_have(compute_on_both: Cloud) -> None:
    compute, made = compute_on_both, {}
    for name in ("web-1", "my_Web%", "db"):
        made[name] = await compute.member.boot(**(compute.wish | {"name": name}))
    member = compute.member
    assert await _names(member, name_contains="web") == ["web-1"]
    assert await _names(member, name_contains="Web%") == ["my_Web%"]
    assert await _names(member, name_contains="%") == ["my_Web%"]
    address = made["db"].ports[0].fixed_ips[0]
    assert await _names(member, address_prefix=address) == ["db"]
    assert await _names(member, address_prefix="10.0.0.") == ["web-1", "my_Web%", "db"]
    assert await _names(member, address_prefix="0.0.") == []
    assert await _names(compute.stranger, address_prefix="10.") == []
    assert await _names(member, user_id=member.caller.user_id, name_contains="db") == ["db"]
    assert await _names(member, user_id=compute.stranger.caller.user_id) == []
    assert await _names(member, key_name="none") == []
    assert await _names(member, availability_zone="nowhere") == []


async def test_servers_are_found_by_any_of_several_tags(compute_on_both: Cloud) -> None:
    compute = compute_on_both
    for name, tags in (("one", ["a"]), ("two", ["b", "c"]), ("none", [])):
        await compute.member.boot(**(compute.wish | {"name": name, "tags": tags, "no_network": True}))
    assert await _names(compute.member, any_tags=["a", "c"]) == ["one", "two"]
    assert await _names(compute.member, any_tags=["a", "c"], tags=["b"]) == ["two"]


async def test_servers_come_in_the_order_that_is_asked_for(compute_on_both: Cloud) -> None:
    compute = compute_on_both
    for name in ("b", "c", "a"):
        await compute.member.boot(**(compute.wish | {"name": name, "no_network": True}))
    by = ServerSortKey.Value
    assert await _names(compute.member) == ["b", "c", "a"]
    assert await _names(compute.member, descending=True) == ["a", "c", "b"]
    assert await _names(compute.member, sort_key=by("SERVER_SORT_KEY_NAME")) == ["a", "b", "c"]
    first = (await compute.member.servers.ListServers(ListServersRequest(page_size=1))).servers[0]
    now = Timestamp()
    now.GetCurrentTime()
    await compute.member.servers.UpdateServer(
        UpdateServerRequest(id=first.id, server=Server(description="changed"))
    )
    latest = {"sort_key": by("SERVER_SORT_KEY_UPDATED_AT"), "descending": True}
    assert (await _names(compute.member, **latest))[0] == "b"
    assert await _names(compute.member, changed_since=now) == ["b"]
    assert await _names(compute.member, changed_before=now) == ["c", "a"]


async def _listed(user: User) -> list[Server]:
    return list((await user.servers.ListServers(ListServersRequest())).servers)


async def test_a_list_shows_each_change_and_to_each_what_they_may_see(compute_on_both: Cloud) -> None:
    compute = compute_on_both
    member, admin = compute.member, compute.admin
    made = await member.boot(**compute.wish)
    other = await member.boot(**(compute.wish | {"name": "other", "no_network": True}))
    for change in (
        member.servers.LockServer(LockServerRequest(id=made.id)),
        member.servers.UnlockServer(UnlockServerRequest(id=made.id)),
        member.servers.UpdateServer(UpdateServerRequest(id=made.id, server=Server(name="new"))),
        member.servers.StopServer(StopServerRequest(id=made.id)),
    ):
        await member.settled(await change)
        for user in (member, admin, member):
            assert await _listed(user) == [await user.get(made.id), await user.get(other.id)]
        assert [bool(server.host_id) for server in await _listed(admin)] == [True, True]
        assert [bool(server.host_id) for server in await _listed(member)] == [False, False]
        assert await _listed(compute.stranger) == []
    await member.delete(made)
    assert await _listed(admin) == [await admin.get(other.id)]


async def test_an_operator_may_choose_the_id_of_a_flavor(compute_on_both: Cloud) -> None:
    compute, id = compute_on_both, "m1.tiny_" + "x" * 200
    wanted = CreateFlavorRequest(name="tiny", id=id, vcpus=1, memory_mib=64)
    assert (await compute.admin.flavors.CreateFlavor(wanted)).id == id
    assert (await compute.member.flavors.GetFlavor(GetFlavorRequest(id=id))).name == "tiny"
    made = await compute.member.boot(**(compute.wish | {"name": "t", "flavor_id": id}))
    assert made.flavor.id == id
    assert await _names(compute.member, flavor_id=id) == ["t"]
