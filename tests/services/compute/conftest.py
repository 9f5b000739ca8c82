"""What tests of compute share."""

from collections.abc import AsyncIterator, Callable

import pytest

from mesh.certificates import Authority
from mesh.settings import Settings
from tests.services.compute.cloud import Cloud, cloud_of


@pytest.fixture
async def compute(
    cloud: Settings, authority: Authority, free_port: Callable[[], int]
) -> AsyncIterator[Cloud]:
    """A compute service with two fake hosts."""
    async with cloud_of(cloud, authority, free_port) as running:
        yield running
