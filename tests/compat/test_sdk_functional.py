"""openstacksdk's own functional tests, on simulated hosts: guests are not logged in to by them."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.compat import results, sdk_run
from tests.compat.clients import Client
from tests.compat.install import installed
from tests.end_to_end.clouds import GUEST_IMAGE, Cloud, cloud


@pytest.fixture(scope="module")
def simulated() -> Iterator[Cloud]:
    """A cloud of their own: they count what there is. Passwords of theirs have six characters."""
    with cloud(hosts=2, hypervisor="simulated", more=("identity.password_min_length=6",)) as found:
        yield found


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_they_fail_only_where_they_are_known_to(simulated: Cloud, clients: Path, tmp_path: Path) -> None:
    folder, admin = tmp_path / "sdk", Client.administrator(clients, simulated.layout)
    sdk_run.configured(folder, admin, GUEST_IMAGE)
    found = sdk_run.run(folder, installed("sdk"), admin)
    results.record("openstacksdk", found, sdk_run.service)
    results.hold("openstacksdk", found, (folder / "run.log").read_text()[-20000:])
