"""The clocks of control jump by an hour and back: sessions end, work does not."""

import pytest

from mesh.errors import CloudError
from tests.outages.cloud import OutageCloud, Somebody
from weft.compute.v1.server_service_pb2 import ListServersRequest

pytestmark = pytest.mark.asyncio(loop_scope="package")


async def test_a_clock_set_an_hour_ahead_ends_sessions_and_no_work_and_so_does_setting_it_back(
    cloud: OutageCloud, somebody: Somebody
) -> None:
    before = cloud.pids
    begun = await somebody.boots()
    for clock in cloud.clocks.values():
        clock.step(1)
    with pytest.raises(CloudError) as expired:
        await somebody.servers.ListServers(ListServersRequest(), timeout=15)
    assert expired.value.reason == "TOKEN_EXPIRED"
    await somebody.finds_ended(begun)  # those that were not over have passed their deadline, and are undone
    begun = await somebody.boots()
    for clock in cloud.clocks.values():
        clock.step(0)
    await somebody.finds_whole(begun)
    await somebody.finds_whole(await somebody.boots(1))
    assert cloud.pids == before, "nothing had to be begun again"


async def test_replicas_whose_clocks_are_apart_work_as_one(cloud: OutageCloud, somebody: Somebody) -> None:
    begun = await somebody.boots(3)
    cloud.clocks["control-a"].step(0.75)  # less than a token lives
    try:
        begun += await somebody.boots(3)
        await somebody.finds_whole(begun)
        begun = await somebody.boots()
        cloud.parts["control-b"].kill()  # the one that is ahead takes over what that has begun
        await somebody.finds_whole(begun)
    finally:
        cloud.clocks["control-a"].step(0)
        cloud.parts["control-b"].start()
        await cloud.until_listening("control-b")
    await somebody.finds_whole(await somebody.boots(1))
