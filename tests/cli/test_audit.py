"""What a person did through the gateway is in the trail, with where they did it from."""

import ipaddress
import time

import pytest

from tests.cli.conftest import Cloud, as_administrator

pytestmark = pytest.mark.system


def test_a_change_is_found_by_what_it_was_done_to(cloud: Cloud) -> None:
    made = cloud.made("network", "create", "audited")
    ends, found = time.monotonic() + 60, []
    while not found:
        assert time.monotonic() < ends, "no event was told"
        found = as_administrator(cloud, "audit", "list", "--target-id", made, "-o", "json").json
    (event,) = found
    assert (event["action"], event["outcome"]) == ("network.networks.create", "success")
    assert event["initiator"]["name"] == "admin"
    # Loopback is this machine's own address to the gateway; the peer of the service is a socket.
    assert ipaddress.ip_address(event["initiator"]["host"]["address"])
    assert len(event["trace_id"]) == 32
    table = as_administrator(cloud, "audit", "list", "--action", "network.networks.create")
    assert "network.networks.create" in table.out
