"""All of Tempest's tests of one service's API, on simulated hosts."""

from pathlib import Path

import pytest

from tests.compat import results, tempest_run
from tests.compat.clients import Client
from tests.compat.install import installed
from tests.end_to_end.clouds import GUEST_IMAGE, Cloud
from tests.served import served


@pytest.mark.timeout(3600)
@pytest.mark.parametrize("service", ["identity", "image", "network", "volume", "compute"])
def test_a_services_api_fails_only_where_it_is_known_to(
    world: Cloud, clients: Path, tmp_path: Path, service: str
) -> None:
    if world.layout.hypervisor != "simulated":
        pytest.skip("what is answered is the same, and comes sooner without guests")
    judge, folder = installed("tempest"), tmp_path / "judge"
    admin = Client.administrator(clients, world.layout)
    with served({"disk": GUEST_IMAGE.read_bytes()}) as web:
        tempest_run.configured(folder, judge, admin, GUEST_IMAGE, logs_in=False, web=f"{web}/disk")
        found = tempest_run.run(folder, judge, rf"^tempest\.api\.{service}\.")
    results.record(f"tempest-{service}", found, tempest_run.service)
    results.hold(f"tempest-{service}", found, (folder / "run.log").read_text()[-20000:])
