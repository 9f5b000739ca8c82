"""Envoy dies alone, under load: the gateway begins another, and calls go on."""

import asyncio
import os
import signal

import pytest

from tests.chaos.parts import child_of
from tests.outages.cloud import OutageCloud, Somebody

pytestmark = pytest.mark.asyncio(loop_scope="package")


async def test_envoy_killed_under_load_is_begun_again_by_its_gateway(
    cloud: OutageCloud, somebody: Somebody
) -> None:
    before = cloud.pids
    envoy = child_of(before["gateway"], "envoy")
    assert envoy
    loads = [asyncio.create_task(somebody.boots(2)) for _ in range(3)]
    os.kill(envoy, signal.SIGKILL)
    begun = [server for boots in await asyncio.gather(*loads) for server in boots]
    await somebody.finds_whole(begun)
    assert cloud.pids == before, "the gateway lived on"
    assert child_of(before["gateway"], "envoy") not in (0, envoy)
