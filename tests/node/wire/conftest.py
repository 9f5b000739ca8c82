"""One lab for all tests of a file: agents are costly to start, and must survive many worlds anyway."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.node.wire.lab import Lab


@pytest.fixture(scope="module")
def laboratory(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    """Two hosts with agents that run."""
    if os.geteuid() != 0:
        pytest.skip("needs root")
    lab = Lab(Path(tmp_path_factory.mktemp("lab")))
    try:
        for host in lab.hosts:
            lab.start_agent(host)
        yield lab
    finally:
        lab.close()


@pytest.fixture
def lab(laboratory: Lab, request: pytest.FixtureRequest) -> Iterator[Lab]:
    """The lab with an empty world."""
    yield laboratory
    if getattr(request.node, "failed", False):
        for host in laboratory.hosts:
            print(laboratory.log(host))
    laboratory.clear()
