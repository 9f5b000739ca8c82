"""The clocks of control jump by an hour and back: sessions end, work does not."""

import pytest

from mesh.errors import CloudError
from tests.chaos.cloud import REPLICAS
from tests.outages.clocks import next_second
from tests.outages.cloud import OutageCloud, Somebody
from weft.compute.v1.server_service_pb2 import ListServersRequest

pytestmark = pytest.mark.asyncio(loop_scope="package")


async def test_a_clock_set_an_hour_ahead_ends_sessions_and_no_work_and_so_does_setting_it_back(
    cloud: OutageCloud, somebody: Somebody
) -> None:
    before = cloud.pids
    await next_second(less=0.4)  # in the middle of these boots
    begun = await somebody.boots()
    await cloud.step_clocks(1, *REPLICAS)
    with pytest.raises(CloudError) as expired:
        await somebody.servers.ListServers(ListServersRequest(), timeout=15)
    assert expired.value.reason == "TOKEN_EXPIRED"
    await somebody.finds_ended(begun)  # those that were not over have passed their deadline, and are undone
    await next_second(less=0.4)
    begun = await somebody.boots()
    await cloud.step_clocks(0, *REPLICAS)
    await somebody.finds_whole(begun)
    await somebody.finds_whole(await somebody.boots(1))
    assert cloud.pids == before, "nothing had to be begun again"


async def test_replicas_whose_clocks_are_apart_work_as_one(cloud: OutageCloud, somebody: Somebody) -> None:
    begun = await somebody.boots(3)
    await cloud.step_clocks(0.75, "control-a")  # less than a token lives
    try:
        begun += await somebody.boots(3)
        await somebody.finds_whole(begun)
        begun = await somebody.boots()
        cloud.parts["control-b"].kill()  # the one that is ahead takes over what that has begun
        await somebody.finds_whole(begun)
    finally:
        await cloud.step_clocks(0, "control-a")
        cloud.parts["control-b"].start()
        await cloud.until_listening("control-b")
    await somebody.finds_whole(await somebody.boots(1))
