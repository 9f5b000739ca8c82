"""The demo's whole job, done with the unmodified `openstack` command."""

import time
from pathlib import Path
from typing import Any

import pytest

from tests.compat.clients import Client, Person
from tests.compat.guests import prove
from tests.end_to_end.clouds import GUEST_IMAGE, Cloud

_PATIENCE = 180.0


def until(client: Client, noun: str, name: str, status: str) -> dict[str, Any]:
    """A thing once it has a status."""
    ends = time.monotonic() + _PATIENCE
    while True:
        shown = client.get(*noun.split(), "show", name)
        if shown["status"] == status:
            return shown
        assert time.monotonic() < ends, f"{noun} {name} stayed {shown['status']}"
        assert shown["status"].lower() != "error", shown


def surroundings(client: Client, key: Path) -> None:
    """Image, network with a way out, rules, key."""
    client.run("image", "create", "--file", str(GUEST_IMAGE), "--disk-format", "qcow2", "tiny")
    assert client.get("image", "show", "tiny")["status"] == "active"
    client.run("network", "create", "net")
    client.run("subnet", "create", "--network", "net", "--subnet-range", "10.7.0.0/24", "net-v4")
    client.run("router", "create", "--external-gateway", "outside", "way")
    client.run("router", "add", "subnet", "way", "net-v4")
    client.run("security", "group", "create", "ssh")
    client.run("security", "group", "rule", "create", "--protocol", "tcp", "--dst-port", "22", "ssh")
    client.run("keypair", "create", "--public-key", f"{key}.pub", "mine")


def boot(client: Client, name: str) -> dict[str, Any]:
    words = ["--flavor", "tiny", "--image", "tiny", "--network", "net", "--key-name", "mine"]
    client.run("server", "create", *words, "--security-group", "ssh", "--wait", name)
    return client.get("server", "show", name)


def take_down(client: Client) -> None:
    client.run("server", "delete", "--wait", "first")
    until(client, "volume", "disk", "available")
    client.run("volume", "delete", "disk")
    client.run("router", "remove", "subnet", "way", "net-v4")
    client.run("router", "delete", "way")
    client.run("network", "delete", "net")
    client.run("security", "group", "delete", "ssh")
    client.run("keypair", "delete", "mine")
    client.run("image", "delete", "tiny")


@pytest.mark.timeout(600)
async def test_the_command_does_the_whole_job(world: Cloud, somebody: Person, key: Path) -> None:
    client = somebody.client
    surroundings(client, key)
    first = boot(client, "first")
    assert first["status"] == "ACTIVE"
    assert list(first["addresses"]) == ["net"]
    client.run("volume", "create", "--size", "1", "disk")
    until(client, "volume", "disk", "available")
    client.run("server", "add", "volume", "first", "disk")
    assert until(client, "volume", "disk", "in-use")["attachments"][0]["server_id"] == first["id"]
    address = client.get("floating", "ip", "create", "outside")["floating_ip_address"]
    client.run("server", "add", "floating", "ip", "first", address)
    assert address in client.get("server", "show", "first")["addresses"]["net"]
    await prove(world, address, key, "first")
    client.run("server", "stop", "first")
    until(client, "server", "first", "SHUTOFF")
    client.run("server", "start", "first")
    until(client, "server", "first", "ACTIVE")
    client.run("server", "reboot", "--hard", "--wait", "first")
    actions = [each["Action"] for each in client.get("server", "event", "list", "first")]
    assert actions == ["reboot", "start", "stop", "attach_volume", "create"]
    client.run("server", "remove", "volume", "first", "disk")
    until(client, "volume", "disk", "available")
    client.run("floating", "ip", "delete", address)
    take_down(client)


def test_an_administrator_administers(world: Cloud, clients: Path, somebody: Person) -> None:
    admin = Client.administrator(clients, world.layout)
    assert {each["State"] for each in admin.get("hypervisor", "list")} == {"up"}
    assert {each["State"] for each in admin.get("compute", "service", "list")} == {"up"}
    admin.run("flavor", "create", "--ram", "64", "--vcpus", "1", "--disk", "1", "--property", "a=b", "own")
    assert admin.get("flavor", "show", "own")["properties"] == {"a": "b"}
    admin.run("flavor", "delete", "own")
    admin.run("quota", "set", "--instances", "7", "--volumes", "8", "--networks", "9", somebody.project_id)
    quotas = {each["Resource"]: each["Limit"] for each in somebody.client.get("quota", "show")}
    assert (quotas["instances"], quotas["volumes"], quotas["networks"]) == (7, 8, 9)
