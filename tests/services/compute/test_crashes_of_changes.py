"""The crash matrix of what is done with a server that is there."""

from dataclasses import replace
from typing import Any

import pytest

from mesh.database import Connection
from mesh.flow import Flow
from services.compute.flows.cards import ATTACH_PORT, DETACH_PORT
from services.compute.flows.freezing import PAUSE, RESUME, SUSPEND, UNPAUSE
from services.compute.flows.power import REBOOT, START, STOP
from services.compute.flows.rebuild import REBUILD
from services.compute.flows.snapshot import SNAPSHOT
from services.compute.tables import user_data
from tests.perils import deaths, deaths_on_the_way_back, failures, failures_that_pass
from tests.services.compute.cloud import Cloud
from tests.services.compute.perils import Survivor
from tests.services.compute.test_crashes import (
    Act,
    assert_all_agree,
    assert_nothing_is_left,
    booted,
    failures_before_the_effect,
)
from weft.compute.v1.resources_pb2 import Server
from weft.compute.v1.server_service_pb2 import (
    AttachPortRequest,
    DetachPortRequest,
    PauseServerRequest,
    RebootServerRequest,
    RebuildServerRequest,
    ResumeServerRequest,
    SnapshotServerRequest,
    StartServerRequest,
    StopServerRequest,
    SuspendServerRequest,
    UnpauseServerRequest,
    UserData,
)
from weft.image.v1.resources_pb2 import ImageStatus

# A port that is made is on its host at once: only one that was there before is bound.
MAKE_AND_ATTACH = replace(ATTACH_PORT, steps=tuple(s for s in ATTACH_PORT.steps if s.name != "bind ports"))


async def attach_new_port(cloud: Cloud, server: Server) -> Server:
    request = AttachPortRequest(id=server.id, network_id=cloud.network.id)
    return await cloud.member.settled(await cloud.member.servers.AttachPort(request))


async def attach_port(cloud: Cloud, server: Server) -> Server:
    port = cloud.networks.add_port(cloud.network)
    request = AttachPortRequest(id=server.id, port_id=port.id)
    return await cloud.member.settled(await cloud.member.servers.AttachPort(request))


async def detach_port(cloud: Cloud, server: Server) -> Server:
    request = DetachPortRequest(id=server.id, port_id=server.ports[0].port_id)
    return await cloud.member.settled(await cloud.member.servers.DetachPort(request))


@pytest.mark.parametrize(
    ("flow", "act", "change"),
    [
        (MAKE_AND_ATTACH, attach_new_port, 1),
        (ATTACH_PORT, attach_port, 1),
        (DETACH_PORT, detach_port, -1),
    ],
    ids=["attach a new one", "attach", "detach"],
)
async def test_a_card_comes_or_goes_wholly_or_not_at_all(
    compute: Cloud, flow: Flow, act: Act, change: int
) -> None:
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
                assert len(ended.ports) - len(server.ports) == moved, plan
                await assert_nothing_is_left(compute, server)


async def test_a_server_is_rebuilt_wherever_that_dies_or_stumbles(compute: Cloud) -> None:
    async with Survivor(compute) as survivor:
        for plans in (deaths, failures_that_pass, failures):
            for plan in plans(REBUILD):
                server, _ = await booted(compute, from_image=True)
                image = compute.images.add_image(compute.member.project_id)
                survivor.perils.plan = plan
                request = RebuildServerRequest(
                    id=server.id, image_id=image.id, user_data=UserData(content=b"x")
                )
                ended = await compute.member.settled(await compute.member.servers.RebuildServer(request))
                await assert_all_agree(compute, plan, ended, "ACTIVE")
                assert ended.image_id == (server.image_id if plans is failures else image.id), plan
                await assert_nothing_is_left(compute, server)
    assert await compute.runtime.database.read(_user_data) == []


def _user_data(connection: Connection) -> list[Any]:
    return list(connection.execute(user_data.select()))


async def test_an_image_of_a_server_is_whole_or_not_there(compute: Cloud) -> None:
    async with Survivor(compute) as survivor:
        for plans, made in (
            (deaths, 1),
            (failures_that_pass, 1),
            (failures, 0),
            (deaths_on_the_way_back, 0),
        ):
            for plan in plans(SNAPSHOT):
                server, _ = await booted(compute, from_image=True)
                before = set(compute.images.images)
                survivor.perils.plan = plan
                request = SnapshotServerRequest(id=server.id, name="copy")
                answer = await compute.member.servers.SnapshotServer(request)
                ended = await compute.member.settled(answer.server)
                await assert_all_agree(compute, plan, ended, "ACTIVE")
                fresh = [compute.images.images[id] for id in set(compute.images.images) - before]
                assert len(fresh) == made, plan
                assert all(image.status == ImageStatus.IMAGE_STATUS_ACTIVE for image in fresh)
                await assert_nothing_is_left(compute, server)


@pytest.mark.parametrize(
    ("flow", "request_type", "before", "after"),
    [
        (PAUSE, PauseServerRequest, "ACTIVE", "PAUSED"),
        (UNPAUSE, UnpauseServerRequest, "PAUSED", "ACTIVE"),
        (SUSPEND, SuspendServerRequest, "ACTIVE", "SUSPENDED"),
        (RESUME, ResumeServerRequest, "SUSPENDED", "ACTIVE"),
        (STOP, StopServerRequest, "ACTIVE", "STOPPED"),
        (START, StartServerRequest, "STOPPED", "ACTIVE"),
        (REBOOT, RebootServerRequest, "ACTIVE", "ACTIVE"),
    ],
    ids=["pause", "unpause", "suspend", "resume", "stop", "start", "reboot"],
)
async def test_a_server_is_stilled_or_runs_on_wherever_that_dies_or_stumbles(
    compute: Cloud, flow: Flow, request_type: Any, before: str, after: str
) -> None:
    there = {
        "PAUSED": PauseServerRequest, "SUSPENDED": SuspendServerRequest, "STOPPED": StopServerRequest
    }.get(before)  # fmt: skip
    fails = failures_before_the_effect if flow is STOP else failures  # a guest that is off is off
    async with Survivor(compute) as survivor:
        for plans, expected in ((deaths, after), (failures_that_pass, after), (fails, before)):
            for plan in plans(flow):
                server, _ = await booted(compute)
                for request, perils in ((there, {}), (request_type, plan)):
                    if request is None:
                        continue
                    survivor.perils.plan = perils
                    rpc = request.__name__.removesuffix("Request")
                    begun = await getattr(compute.member.servers, rpc)(
                        request(id=server.id, **({"type": "REBOOT_TYPE_HARD"} if flow is REBOOT else {}))
                    )
                    ended = await compute.member.settled(begun)
                await assert_all_agree(compute, plan, ended, expected)
                await assert_nothing_is_left(compute, server)
