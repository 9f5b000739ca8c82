"""The network between control and a host is cut in the middle of boots, and mended."""

import asyncio

import pytest

from tests.chaos.cables import BOTH, TO_CONTROL, TO_HOST
from tests.outages.cloud import OutageCloud, Somebody

pytestmark = pytest.mark.asyncio(loop_scope="package")

AWAY_SECONDS = 6


@pytest.mark.parametrize("way", [BOTH, TO_HOST, TO_CONTROL])
async def test_boots_go_on_when_hosts_that_were_cut_off_are_back(
    cloud: OutageCloud, somebody: Somebody, way: str
) -> None:
    before = cloud.pids
    begun = await somebody.boots(2)
    for cable in cloud.cables.values():
        cable.cut(way)
    begun += await somebody.boots(2)  # what is asked for meanwhile is taken, and waits
    await asyncio.sleep(AWAY_SECONDS)
    for cable in cloud.cables.values():
        cable.mend()
    await somebody.finds_whole(begun)
    assert cloud.pids == before, "nothing had to be begun again"
