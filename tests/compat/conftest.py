"""Clouds for the judges. They come from outside and take long: only `make compat` runs them."""

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.compat.clients import Client, Person, person
from tests.compat.install import installed
from tests.end_to_end.clouds import Cloud, cloud

_HERE = Path(__file__).parent


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Elsewhere they are seen to be skipped."""
    if not os.environ.get("WEFT_COMPAT"):
        why = pytest.mark.skip(reason="judges come from outside and take long: `make compat` runs them")
        for each in items:
            if _HERE in each.path.parents:
                each.add_marker(why)


@pytest.fixture(scope="session")
def clients() -> Path:
    """Where the `openstack` command and openstacksdk are."""
    return installed("clients")


@pytest.fixture(scope="session", params=["simulated", pytest.param("tcg", marks=pytest.mark.slow)])
def world(request: pytest.FixtureRequest) -> Iterator[Cloud]:
    """A cloud: once of two hosts without guests, between which servers move, once of one with real ones.

    Who administers a project administers it all, as those whom Tempest makes expect; images are imported from
    this machine.
    """
    hosts = 1 if request.param == "tcg" else 2
    more = ("identity.project_admins_administer_cloud=true", 'image.import_from=["127.0.0.1/32"]')
    with cloud(hosts, request.param, more=more) as found:
        yield found


@pytest.fixture
def somebody(world: Cloud, clients: Path, request: pytest.FixtureRequest) -> Person:
    """A member of a new project, made by the administrator with the `openstack` command."""
    return person(Client.administrator(clients, world.layout), f"who-{request.node.name[:40]}")


def new_key(folder: Path) -> Path:
    """A new private key; the public one is beside it."""
    file = folder / "key"
    words = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "judge", "-f", str(file)]
    subprocess.run(words, check=True, stdin=subprocess.DEVNULL)
    return file


@pytest.fixture
def key(tmp_path: Path) -> Path:
    """A new private key; the public one is beside it."""
    return new_key(tmp_path)
