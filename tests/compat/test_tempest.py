"""Tempest's smoke tests, on simulated hosts: without guests to log in to they judge what is answered."""

from pathlib import Path

import pytest

from tests.compat import results, tempest_run
from tests.compat.clients import Client
from tests.compat.install import installed
from tests.end_to_end.clouds import GUEST_IMAGE, Cloud

_SMOKE = r"^tempest\..*\[.*\bsmoke\b"


@pytest.mark.timeout(900)
def test_smoke_fails_only_where_it_is_known_to(world: Cloud, clients: Path, tmp_path: Path) -> None:
    if world.layout.hypervisor != "simulated":
        pytest.skip("guests are logged in to by the other judges")
    judge = installed("tempest")
    admin = Client.administrator(clients, world.layout)
    tempest_run.configured(tmp_path / "judge", judge, admin, GUEST_IMAGE)
    found = tempest_run.run(tmp_path / "judge", judge, _SMOKE)
    results.record("tempest-smoke", found, tempest_run.service)
    results.hold("tempest-smoke", found, (tmp_path / "judge" / "run.log").read_text()[-20000:])
