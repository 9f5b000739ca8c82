"""A little cloud, up."""

from collections.abc import AsyncIterator

import pytest

from mesh.settings import Settings
from tests.mesh.cloudlet import Cloudlet, cloudlet


@pytest.fixture
async def little(cloud: Settings) -> AsyncIterator[Cloudlet]:
    """Identity's keys and compute's flavors, served."""
    async with cloudlet(cloud) as made:
        yield made
