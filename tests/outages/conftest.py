"""One cloud for all of these tests: each leaves it as it found it, which is what they are about."""

import os
import shutil
import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

# Before gRPC is there: in a process that begins others it would look after forks, and at times end them.
os.environ.setdefault("GRPC_ENABLE_FORK_SUPPORT", "0")

import pytest
import pytest_asyncio

from tests import memory
from tests.outages.cloud import OutageCloud, Somebody, running


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """All of these need a machine of their own, and their time. Those with a cloud of their own come last:
    the cables of the one that is shared carry nothing while another loop than theirs runs.
    """
    places = [place for place, item in enumerate(items) if "outages" in item.path.parts]
    ours = sorted((items[place] for place in places), key=lambda item: "both" not in item.fixturenames)
    for place, item in zip(places, ours, strict=True):
        items[place] = item
        item.add_marker(pytest.mark.system)
        item.add_marker(pytest.mark.slow)
        item.add_marker(pytest.mark.timeout(600))


@pytest.fixture(scope="package")
def state() -> Iterator[Path]:
    """A directory, and in it an image to boot from."""
    folder = Path(tempfile.mkdtemp(prefix="wo-", dir=memory.folder()))
    folder.chmod(0o755)  # PostgreSQL runs as somebody else
    (folder / "empty.raw").write_bytes(bytes(1 << 20))
    yield folder
    shutil.rmtree(folder)


@pytest_asyncio.fixture(scope="package", loop_scope="package")
async def both(state: Path) -> AsyncIterator[tuple[OutageCloud, Somebody]]:
    """The cloud, and somebody on it."""
    async with running(OutageCloud(state), state / "empty.raw") as found:
        yield found


@pytest.fixture
def cloud(both: tuple[OutageCloud, Somebody]) -> OutageCloud:
    """The cloud."""
    return both[0]


@pytest.fixture
def somebody(both: tuple[OutageCloud, Somebody]) -> Somebody:
    """Somebody on it."""
    return both[1]
