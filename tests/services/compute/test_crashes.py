"""The crash matrix: compute's flows die before and after each step and each undo, and fail at each step.

Whatever happens: the server ends as told, every other service agrees with it, and once it is deleted nothing
of it is left anywhere.
"""

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from mesh.flow import Flow
from services.compute.flows.boot import BOOT
from services.compute.flows.delete import DELETE
from services.compute.flows.volumes import ATTACH, DETACH
from tests.perils import (
    Plan,
    deaths,
    deaths_on_the_way_back,
    doomed,
    failures,
    failures_that_pass,
)
from tests.services.compute.cloud import Cloud, status
from tests.services.compute.perils import Survivor
from weft.block.v1.resources_pb2 import Volume
from weft.compute.v1.resources_pb2 import Server
from weft.compute.v1.server_group_service_pb2 import CreateServerGroupRequest
from weft.compute.v1.server_service_pb2 import (
    AttachVolumeRequest,
    CreateServerRequest,
    DeleteServerRequest,
    DetachVolumeRequest,
    NetworkRequest,
    NewBootVolume,
    VolumeRequest,
)

Act = Callable[[Cloud, Server], Awaitable[Server]]


def concerns(plan: Plan, step: str) -> bool:
    return any(name == step for _, name in plan)


async def booted(cloud: Cloud, *, from_image: bool = False, old: bool = False) -> tuple[Server, Volume]:
    """A server of a group, with a port made for it, one that was there, and a volume. It boots from another
    that is new or `old`, and goes with it.
    """
    data = cloud.block.add_volume(cloud.member.project_id)
    port = cloud.networks.add_port(cloud.network)
    new = NewBootVolume(image_id=cloud.image.id, delete_on_termination=True)
    source: dict[str, Any] = {"image_id": cloud.image.id} if from_image else {"new_volume": new}
    if old:
        there = cloud.block.add_volume(cloud.member.project_id, bootable=True)
        source = {"volume_id": there.id, "delete_volume_on_termination": True}
    apart = CreateServerGroupRequest(name="x", policy="SERVER_GROUP_POLICY_ANTI_AFFINITY")
    group = await cloud.member.groups.CreateServerGroup(apart)
    wish = CreateServerRequest(
        name="x",
        server_group_id=group.id,
        flavor_id=cloud.flavor.id,
        **source,
        volumes=[VolumeRequest(volume_id=data.id)],
        networks=[NetworkRequest(network_id=cloud.network.id), NetworkRequest(port_id=port.id)],
    )
    made = await cloud.member.servers.CreateServer(wish)
    return await cloud.member.settled(made), data


async def attach(cloud: Cloud, server: Server) -> Server:
    volume = cloud.block.add_volume(cloud.member.project_id)
    request = AttachVolumeRequest(id=server.id, volume_id=volume.id)
    return await cloud.member.settled(await cloud.member.servers.AttachVolume(request))


@asynccontextmanager
async def busy(cloud: Cloud, server: Server) -> AsyncIterator[None]:
    """A volume is being attached, and that does not come to its end by itself."""
    node = cloud.host_of(server)
    node.hold("AttachVolume")
    volume = cloud.block.add_volume(cloud.member.project_id)
    request = AttachVolumeRequest(id=server.id, volume_id=volume.id)
    await cloud.member.servers.AttachVolume(request)
    yield
    node.release("AttachVolume")


async def detach(cloud: Cloud, server: Server) -> Server:
    volume_id = next(volume.volume_id for volume in server.volumes if not volume.boot)
    request = DetachVolumeRequest(id=server.id, volume_id=volume_id)
    return await cloud.member.settled(await cloud.member.servers.DetachVolume(request))


async def assert_nothing_is_left(cloud: Cloud, server: Server) -> None:
    """After its deletion nobody has anything of it; what was there before it is free again."""
    await cloud.member.delete(server)
    await cloud.assert_consistent()
    assert cloud.placement.consumers == {}
    assert all(not port.device_id for port in cloud.networks.ports.values())
    assert cloud.block.attachments == {}
    assert not any(volume.bootable for volume in cloud.block.volumes.values())
    cloud.networks.ports.clear()
    cloud.block.volumes.clear()


async def assert_all_agree(cloud: Cloud, plan: Plan, ended: Server, expected: str) -> None:
    assert status(ended) == expected, (plan, ended.status_reason)
    assert not any(plan.values()), f"not reached: {plan}"
    await cloud.assert_consistent()


@pytest.mark.parametrize(("plans", "expected"), [(deaths, "ACTIVE"), (failures_that_pass, "ACTIVE")])
async def test_a_boot_that_dies_or_stumbles_anywhere_comes_to_its_end(
    compute: Cloud, plans: Any, expected: str
) -> None:
    async with Survivor(compute) as survivor:
        for plan in plans(BOOT):
            survivor.perils.plan = plan
            server, _ = await booted(compute, from_image=concerns(plan, "stage image"))
            await assert_all_agree(compute, plan, server, expected)
            await assert_nothing_is_left(compute, server)
        assert survivor.deaths == (4 * len(BOOT.steps) if plans is deaths else 0)


@pytest.mark.parametrize("plans", [failures, deaths_on_the_way_back])
async def test_a_boot_that_fails_anywhere_leaves_nothing(compute: Cloud, plans: Any) -> None:
    async with Survivor(compute) as survivor:
        for plan in plans(BOOT):
            survivor.perils.plan = plan
            server, data = await booted(compute, from_image=concerns(plan, "stage image"))
            await assert_all_agree(compute, plan, server, "ERROR")
            assert server.status_reason == "on purpose"
            assert compute.block.status_of(data.id) == "AVAILABLE"
            await assert_nothing_is_left(compute, server)


@pytest.mark.parametrize("plans", [deaths, failures_that_pass])
async def test_a_deletion_that_dies_or_stumbles_anywhere_comes_to_its_end(compute: Cloud, plans: Any) -> None:
    async with Survivor(compute) as survivor:
        for plan in plans(DELETE):
            server, _ = await booted(compute, old=True)
            async with busy(compute, server):
                survivor.perils.plan = plan
                await assert_nothing_is_left(compute, server)
            assert not any(plan.values()), plan


async def test_a_deletion_that_fails_before_its_commit_point_leaves_the_server_as_it_was(
    compute: Cloud,
) -> None:
    async with Survivor(compute) as survivor:
        for plan in (
            {("before do", "stop other work"): [doomed()]},
            {("before do", "delete guest"): [doomed()]},
        ):
            server, _ = await booted(compute)
            async with busy(compute, server):
                survivor.perils.plan = plan
                begun = await compute.member.servers.DeleteServer(DeleteServerRequest(id=server.id))
                await compute.member.over(begun.operation_id)
            kept = await compute.member.settled(server)
            await assert_all_agree(compute, plan, kept, "ACTIVE")
            await assert_nothing_is_left(compute, server)


@pytest.mark.parametrize(
    ("flow", "act", "change"), [(ATTACH, attach, 1), (DETACH, detach, -1)], ids=["attach", "detach"]
)
async def test_a_volume_moves_wholly_or_not_at_all(compute: Cloud, flow: Flow, act: Act, change: int) -> None:
    async with Survivor(compute) as survivor:
        for plans, moved in (
            (deaths, change),
            (failures_that_pass, change),
            (failures_before_the_effect, 0),
            (deaths_on_the_way_back, 0),
        ):
            for plan in plans(flow):
                server, _ = await booted(compute)
                survivor.perils.plan = plan
                ended = await act(compute, server)
                await assert_all_agree(compute, plan, ended, "ACTIVE")
                assert len(ended.volumes) - len(server.volumes) == moved, plan
                await assert_nothing_is_left(compute, server)


def failures_before_the_effect(flow: Flow) -> Iterator[Plan]:
    """Detaching has no undo in the guest: a failure after that took it away is none of the guest's."""
    for plan in failures(flow):
        if ("after do", "detach in guest") not in plan:
            yield plan
