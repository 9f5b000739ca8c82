"""People of two projects, and administrators, as OpenStack's clients log in."""

import time
from collections.abc import Callable, Iterator

import httpx
import pytest

from tests.gateway.conftest import Cloud

_PATIENCE = 60.0


def speaking(cloud: Cloud, token: str) -> httpx.Client:
    """A client that sends the token as OpenStack's do."""
    client = cloud.client()
    client.headers["x-auth-token"] = token
    return client


@pytest.fixture(scope="session")
def one(cloud: Cloud) -> Iterator[httpx.Client]:
    """An ordinary user of a project."""
    with speaking(cloud, cloud.member_of_a_new_project("openstack-one")) as client:
        yield client


@pytest.fixture(scope="session")
def two(cloud: Cloud) -> Iterator[httpx.Client]:
    """A user of another project."""
    with speaking(cloud, cloud.member_of_a_new_project("openstack-two")) as client:
        yield client


@pytest.fixture(scope="session")
def operator(cloud: Cloud) -> Iterator[httpx.Client]:
    """The administrator, logged in to a project as OpenStack's administrators are."""
    with speaking(cloud, cloud.login()) as client:
        yield client


def until(client: httpx.Client, place: str, noun: str, done: Callable[[dict], bool]) -> dict:
    """The document at a place once it is as wanted."""
    ends = time.monotonic() + _PATIENCE
    while True:
        document = client.get(place).json()[noun]
        if done(document):
            return document
        assert time.monotonic() < ends, f"{place} stayed {document}"
        time.sleep(0.1)


def gone(client: httpx.Client, place: str) -> None:
    """Returns once there is nothing at a place."""
    ends = time.monotonic() + _PATIENCE
    while client.get(place).status_code != 404:
        assert time.monotonic() < ends, f"{place} is still there"
        time.sleep(0.1)
