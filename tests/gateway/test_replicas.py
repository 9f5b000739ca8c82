"""A service at several addresses: the gateway calls whichever answer."""

import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace

import httpx
import pytest

from tests.gateway.conftest import Cloud, _ports

# Somebody at each address would be asked once in so many calls, were they taken in turn.
CALLS = 20


@pytest.fixture
def half_there(cloud: Cloud) -> Iterator[Cloud]:
    """The same cloud behind another gateway, which knows identity by two addresses; at one nobody listens."""
    ports = _ports(4)
    environ = {**cloud.environ, "WEFT_CLOUD__STATE": str(cloud.state)}
    there = environ["WEFT_SERVICES__IDENTITY__ADDRESS"]
    environ["WEFT_SERVICES__IDENTITY__ADDRESS"] = f"127.0.0.1:{ports.pop()},{there}"
    for key in ("ADDRESS", "DIALECTS", "ADMIN"):
        environ[f"WEFT_GATEWAY__{key}"] = f"127.0.0.1:{ports.pop()}"
    address = environ["WEFT_GATEWAY__ADDRESS"]
    process = subprocess.Popen([sys.executable, "-m", "gateway"], env=environ, stdin=subprocess.DEVNULL)
    try:
        yield replace(cloud, url=f"https://{address}", address=address, environ=environ)
    finally:
        process.terminate()
        process.wait(30)


def test_a_replica_that_is_away_is_not_noticed(half_there: Cloud) -> None:
    def keys() -> int:
        with half_there.client() as client:
            return client.get("/identity/v1/keys").status_code

    ends = time.monotonic() + 60
    while True:
        try:
            keys()
            break
        except httpx.HTTPError:
            assert time.monotonic() < ends, "the gateway did not begin"
    assert [keys() for _ in range(CALLS)] == [200] * CALLS
