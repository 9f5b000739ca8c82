"""Tempest: smoke tests with guests that are logged in to, and the API of each service on simulated hosts."""

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
    _judged("tempest-smoke", found, folder)


@pytest.mark.timeout(3600)
@pytest.mark.parametrize("service", ["image", "volume", "compute"])
def test_the_api_of_a_service_fails_only_where_it_is_known_to(
    world: Cloud, clients: Path, tmp_path: Path, service: str
) -> None:
    if world.layout.hypervisor != "simulated":
        pytest.skip("what is answered is the same, and comes sooner without guests")
    judge, folder = installed("tempest"), tmp_path / "judge"
    admin = Client.administrator(clients, world.layout)
    tempest_run.configured(folder, judge, admin, GUEST_IMAGE, logs_in=False)
    found = tempest_run.run(folder, judge, rf"^tempest\.api\.{service}\.")
    _judged(f"tempest-{service}", found, folder)


def _judged(judge: str, found: tempest_run.Outcomes, folder: Path) -> None:
    results.record(judge, found, tempest_run.service)
    results.hold(judge, found, (folder / "run.log").read_text()[-20000:])
