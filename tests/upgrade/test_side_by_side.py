"""The version that landed last and this one, as processes on one database, through boots and deletions."""

import shutil
import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
import pytest_asyncio

from tests import memory
from tests.outages.cloud import OutageCloud, Somebody, running
from tests.upgrade import landed

pytestmark = [
    pytest.mark.system,
    pytest.mark.slow,
    pytest.mark.timeout(600),
    pytest.mark.asyncio(loop_scope="module"),
    pytest.mark.skipif(not landed.read().is_in_history(), reason="the landed version is not in this history"),
]
BEFORE, SINCE = "control-a", "control-b"
_ROOT = Path(__file__).parents[2]
# The environment knows this version's directories too, and stubs that are new here would be found beside the
# older ones, which lack what they are made of.
_ALONE = f"""
import sys

sys.path[:] = [path for path in sys.path if path not in {(str(_ROOT), str(_ROOT / "generated"))!r}]
"""


class MixedCloud(OutageCloud):
    """The first replica of control and the first host are of the version before."""

    def _part(self, name: str, words: list[str], environ: dict[str, str]) -> None:
        if name in (BEFORE, "h1"):
            old = self.state / "before"
            words = ["env", "-C", str(old), *words]
            environ = environ | {"PYTHONPATH": f"{old}:{old}/generated"}
        super()._part(name, words, environ)


@pytest.fixture(scope="module")
def state() -> Iterator[Path]:
    """A directory that holds the files of the version before, and an image."""
    folder = Path(tempfile.mkdtemp(prefix="wu-", dir=memory.folder()))
    folder.chmod(0o755)  # PostgreSQL runs as somebody else
    (folder / "empty.raw").write_bytes(bytes(1 << 20))
    (folder / "before").mkdir()
    landed.read().check_out(folder / "before")
    (folder / "before" / "sitecustomize.py").write_text(_ALONE)
    yield folder
    shutil.rmtree(folder)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def both(state: Path) -> AsyncIterator[tuple[MixedCloud, Somebody]]:
    """The older replica makes the database; then the newer one migrates it and works beside it."""
    async with running(MixedCloud(state), state / "empty.raw") as found:
        yield found


async def test_both_versions_share_the_work_and_finish_what_the_other_began(
    both: tuple[MixedCloud, Somebody],
) -> None:
    cloud, somebody = both
    assert (cloud.state / "before" / "services").is_dir()
    await somebody.finds_whole(await somebody.boots(4))
    begun = await somebody.boots(2)
    cloud.parts[SINCE].kill()
    await somebody.finds_whole(begun)
    cloud.parts[SINCE].start()
    await cloud.until_listening(SINCE)
    begun = await somebody.boots(2)
    cloud.parts[BEFORE].kill()  # as the upgrade ends
    await somebody.finds_whole(begun)
