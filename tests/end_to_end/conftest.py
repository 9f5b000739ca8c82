"""Clouds that several tests share."""

from collections.abc import Iterator

import pytest

from tests.end_to_end.clouds import GUEST_IMAGE, Cloud, cloud


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """All of these need root, a kernel, libvirt, and their time."""
    for item in items:
        if "end_to_end" in item.path.parts:
            item.add_marker(pytest.mark.system)
            item.add_marker(pytest.mark.slow)
            item.add_marker(pytest.mark.timeout(420))


@pytest.fixture(scope="session")
def guest_image() -> None:
    """The small guest image that `make image` builds."""
    assert GUEST_IMAGE.exists(), "run `make image` first"


@pytest.fixture(scope="package")
def two_hosts(guest_image: None) -> Iterator[Cloud]:
    """A cloud of two hosts in namespaces of their own, each with its own libvirtd."""
    with cloud(hosts=2) as found:
        yield found


@pytest.fixture(scope="package")
def simulated() -> Iterator[Cloud]:
    """A cloud of one simulated host: real services, real flows, no guests."""
    with cloud(hypervisor="simulated") as found:
        yield found
