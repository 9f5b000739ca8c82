"""Tempest's smoke tests, with guests that are logged in to by floating IP."""

from pathlib import Path

import pytest

from tests.compat import outside, results, tempest_run
from tests.compat.clients import Client
from tests.compat.install import installed
from tests.end_to_end.clouds import GUEST_IMAGE, Cloud

_SMOKE = r"^tempest\..*\[.*\bsmoke\b"


@pytest.mark.timeout(3600)
def test_smoke_fails_only_where_it_is_known_to(world: Cloud, clients: Path, tmp_path: Path) -> None:
    if world.layout.hypervisor == "simulated":
        pytest.skip("there is no guest to log in to")
    judge, folder = installed("tempest"), tmp_path / "judge"
    admin = Client.administrator(clients, world.layout)
    tempest_run.configured(folder, judge, admin, GUEST_IMAGE, logs_in=True)
    with outside.standing(world.layout) as place:
        found = tempest_run.run(folder, judge, _SMOKE, place)
    results.record("tempest-smoke", found, tempest_run.service)
    results.hold("tempest-smoke", found, (folder / "run.log").read_text()[-20000:])
