"""Servers of a group are where its policy says, however many are placed at once."""

from typing import Any

import pytest

from mesh.errors import CloudError
from tests.services.compute.cloud import Cloud, status
from tests.services.compute.test_resize import confirmed, migrated, reverted
from tests.services.harness import until
from weft.compute.v1.host_service_pb2 import UpdateHostRequest
from weft.compute.v1.resources_pb2 import Host, Server, ServerGroup
from weft.compute.v1.server_group_service_pb2 import (
    CreateServerGroupRequest,
    DeleteServerGroupRequest,
    GetServerGroupRequest,
    ListServerGroupsRequest,
)
from weft.compute.v1.server_service_pb2 import CreateServerRequest, RebootServerRequest, RebootType


async def grouped(compute: Cloud, policy: str, **fields: Any) -> ServerGroup:
    wish = CreateServerGroupRequest(name="g", policy=f"SERVER_GROUP_POLICY_{policy}", **fields)
    return await compute.member.groups.CreateServerGroup(wish)


async def boot(compute: Cloud, group: ServerGroup) -> Server:
    return await compute.member.boot(**compute.wish, server_group_id=group.id)


async def boot_at_once(compute: Cloud, group: ServerGroup, count: int) -> list[Server]:
    """All have chosen a host before any has a place there."""
    wish = CreateServerRequest(**compute.wish, server_group_id=group.id)
    compute.placement.hold("ClaimAllocations")
    begun = [await compute.member.servers.CreateServer(wish) for _ in range(count)]

    async def chosen() -> bool:
        return compute.placement.calls.count("ClaimAllocations") >= count

    await until(chosen)
    compute.placement.release("ClaimAllocations")
    return [await compute.member.settled(each) for each in begun]


def hosts(compute: Cloud, *servers: Server) -> list[str]:
    """The names of the hosts on which their guests are."""
    return [compute.host_of(server).name for server in servers]


async def disable(compute: Cloud, server: Server) -> None:
    """Its host takes no more servers."""
    wish = UpdateHostRequest(id=compute.host_of(server).id, host=Host(disabled=True))
    await compute.admin.hosts.UpdateHost(wish)


async def test_servers_that_are_to_be_apart_are_each_on_another_host(compute: Cloud) -> None:
    group = await grouped(compute, "ANTI_AFFINITY")
    assert group.max_servers_per_host == 1
    made = [await boot(compute, group) for _ in range(2)]
    assert sorted(hosts(compute, *made)) == ["alpha", "beta"]
    third = await boot(compute, group)
    assert (status(third), "server_group 2" in third.status_reason) == ("ERROR", True)
    shown = await compute.member.groups.GetServerGroup(GetServerGroupRequest(id=group.id))
    assert list(shown.server_ids) == [each.id for each in (*made, third)]
    assert {each.server_group_id for each in made} == {group.id}
    await compute.member.delete(made[0])
    assert status(await boot(compute, group)) == "ACTIVE"
    await compute.assert_consistent()


async def test_as_many_as_are_allowed_are_together(compute: Cloud) -> None:
    group = await grouped(compute, "ANTI_AFFINITY", max_servers_per_host=2)
    made = [await boot(compute, group) for _ in range(4)]
    assert sorted(hosts(compute, *made)) == ["alpha", "alpha", "beta", "beta"]
    assert status(await boot(compute, group)) == "ERROR"
    await compute.assert_consistent()


async def test_servers_that_are_to_be_together_are_on_one_host_or_not_at_all(compute: Cloud) -> None:
    group = await grouped(compute, "AFFINITY")
    first = await boot(compute, group)
    alone = [await compute.member.boot(**compute.wish) for _ in range(2)]
    rest = [await boot(compute, group) for _ in range(3)]
    assert len(set(hosts(compute, first, *rest))) == 1
    assert len(set(hosts(compute, first, *alone))) == 2  # there is room elsewhere, and others take it
    await disable(compute, first)
    refused = await boot(compute, group)
    assert status(refused) == "ERROR"
    assert "enabled 1" in refused.status_reason
    assert "server_group 1" in refused.status_reason
    await compute.assert_consistent()


async def test_a_soft_policy_is_kept_where_it_can_be(compute: Cloud) -> None:
    near, apart = await grouped(compute, "SOFT_AFFINITY"), await grouped(compute, "SOFT_ANTI_AFFINITY")
    together = [await boot(compute, near) for _ in range(3)]
    assert len(set(hosts(compute, *together))) == 1
    spread = [await boot(compute, apart) for _ in range(4)]
    assert sorted(hosts(compute, *spread)) == ["alpha", "alpha", "beta", "beta"]
    await disable(compute, together[0])
    assert status(await boot(compute, near)) == "ACTIVE"
    assert status(await boot(compute, apart)) == "ACTIVE"
    await compute.assert_consistent()


async def test_of_servers_that_are_placed_at_once_none_is_where_it_may_not_be(compute_on_both: Cloud) -> None:
    compute = compute_on_both
    ended = await boot_at_once(compute, await grouped(compute, "ANTI_AFFINITY"), 4)
    assert sorted(map(status, ended)) == ["ACTIVE", "ACTIVE", "ERROR", "ERROR"]
    assert sorted(hosts(compute, *(each for each in ended if status(each) == "ACTIVE"))) == ["alpha", "beta"]
    compute.placement.calls.clear()
    ended = await boot_at_once(compute, await grouped(compute, "AFFINITY"), 4)
    assert set(map(status, ended)) == {"ACTIVE"}
    assert len(set(hosts(compute, *ended))) == 1
    await compute.assert_consistent()


async def test_a_move_keeps_to_the_policy_and_holds_both_places_until_it_is_decided_on(
    compute: Cloud,
) -> None:
    group = await grouped(compute, "ANTI_AFFINITY")
    first, second = [await boot(compute, group) for _ in range(2)]
    refused = await migrated(compute, first)
    assert (status(refused), "server_group 1" in refused.status_reason) == ("ACTIVE", True)
    await compute.member.delete(second)
    assert status(await migrated(compute, first)) == "VERIFY_RESIZE"
    assert status(await boot(compute, group)) == "ERROR"
    await compute.assert_consistent()
    await reverted(compute, first)
    other = await boot(compute, group)
    assert sorted(hosts(compute, first, other)) == ["alpha", "beta"]
    await compute.member.delete(other)
    await migrated(compute, first)
    await confirmed(compute, first)
    other = await boot(compute, group)
    assert sorted(hosts(compute, first, other)) == ["alpha", "beta"]
    await compute.assert_consistent()


async def test_what_is_left_of_a_group_that_is_deleted_are_its_servers(compute: Cloud) -> None:
    group = await grouped(compute, "ANTI_AFFINITY")
    first, _ = [await boot(compute, group) for _ in range(2)]
    await compute.member.groups.DeleteServerGroup(DeleteServerGroupRequest(id=group.id))
    with pytest.raises(CloudError) as refused:
        await compute.member.groups.GetServerGroup(GetServerGroupRequest(id=group.id))
    assert refused.value.reason == "NOT_FOUND"
    left = await compute.member.get(first.id)
    assert (left.server_group_id, left.revision > first.revision) == ("", True)
    assert status(await migrated(compute, first)) == "VERIFY_RESIZE"
    await confirmed(compute, first)
    hard = RebootServerRequest(id=first.id, type=RebootType.REBOOT_TYPE_HARD)
    assert status(await compute.member.settled(await compute.member.servers.RebootServer(hard))) == "ACTIVE"
    await compute.assert_consistent()


async def test_a_server_is_made_beside_others_or_apart_from_them(compute: Cloud) -> None:
    first = await compute.member.boot(**compute.wish)
    beside = [await compute.member.boot(**compute.wish, same_host_server_ids=[first.id]) for _ in range(3)]
    assert set(hosts(compute, first, *beside)) == set(hosts(compute, first))
    apart = [
        await compute.member.boot(**compute.wish, different_host_server_ids=[first.id]) for _ in range(4)
    ]
    assert len(set(hosts(compute, *apart))) == 1
    assert set(hosts(compute, *apart)) != set(hosts(compute, first))
    both = [first.id, apart[0].id]
    nowhere = await compute.member.boot(**compute.wish, different_host_server_ids=both)
    assert (status(nowhere), "different_host 2" in nowhere.status_reason) == ("ERROR", True)
    with_nothing = await compute.member.boot(**compute.wish, same_host_server_ids=[nowhere.id])
    assert (status(with_nothing), "same_host 2" in with_nothing.status_reason) == ("ERROR", True)
    theirs = compute.images.add_image(compute.stranger.project_id)
    wish = {"name": "x", "flavor_id": compute.flavor.id, "image_id": theirs.id, "no_network": True}
    for named in ("same_host_server_ids", "different_host_server_ids"):
        with pytest.raises(CloudError) as refused:
            await compute.stranger.boot(**wish, **{named: [first.id]})
        assert (refused.value.reason, refused.value.metadata["resource_type"]) == ("NOT_FOUND", "server")
    await compute.assert_consistent()


async def test_a_group_is_its_projects_alone(compute: Cloud) -> None:
    group = await grouped(compute, "AFFINITY")
    theirs = compute.images.add_image(compute.stranger.project_id)
    wish = {"name": "x", "flavor_id": compute.flavor.id, "image_id": theirs.id, "no_network": True}
    for call in (
        compute.stranger.servers.CreateServer(CreateServerRequest(**wish, server_group_id=group.id)),
        compute.stranger.groups.GetServerGroup(GetServerGroupRequest(id=group.id)),
        compute.stranger.groups.DeleteServerGroup(DeleteServerGroupRequest(id=group.id)),
    ):
        with pytest.raises(CloudError) as refused:
            await call
        assert (refused.value.reason, refused.value.metadata["resource_type"]) == (
            "NOT_FOUND",
            "server_group",
        )
    assert status(await compute.stranger.boot(**wish)) == "ACTIVE"
    for user, seen in ((compute.member, [group.id]), (compute.stranger, []), (compute.admin, [group.id])):
        listed = await user.groups.ListServerGroups(ListServerGroupsRequest(name="g"))
        assert [each.id for each in listed.server_groups] == seen


async def test_what_makes_no_sense_is_refused(compute: Cloud) -> None:
    with pytest.raises(CloudError) as refused:
        await grouped(compute, "AFFINITY", max_servers_per_host=2)
    assert set(refused.value.fields) == {"max_servers_per_host"}
    with pytest.raises(CloudError) as refused:
        await compute.admin.groups.CreateServerGroup(
            CreateServerGroupRequest(name="g", policy="SERVER_GROUP_POLICY_AFFINITY")
        )
    assert set(refused.value.fields) == {"project"}
