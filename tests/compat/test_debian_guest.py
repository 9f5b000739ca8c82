"""A Debian with its own cloud-init comes up with its host name, keys, user data and network."""

import asyncio
import json
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from cli.demo.guest import Guest
from cli.demo.stage import Failed
from tests.compat.clients import Client, Person, person
from tests.compat.conftest import new_key
from tests.compat.test_command import surroundings, until
from tests.end_to_end.clouds import ROOT, Cloud, cloud

_IMAGE = ROOT / ".cache" / "guest" / "weft-debian.qcow2"
_USER_DATA = """#cloud-config
write_files:
- path: /etc/judged
  content: by user data
runcmd:
- [sh, -c, "cp /etc/judged /etc/copied"]
"""
# Without hardware virtualization it takes minutes until it takes a login, and some more until all is done.
_PATIENCE = 1200.0


@pytest.fixture(scope="module")
def real() -> Iterator[Cloud]:
    """A cloud of one host with real guests."""
    subprocess.run([sys.executable, "packaging/debian_image/build.py"], cwd=ROOT, check=True)
    with cloud(hypervisor="tcg") as found:
        yield found


@pytest.fixture(scope="module")
def somebody(real: Cloud, clients: Path) -> Person:
    """A member of a new project."""
    return person(Client.administrator(clients, real.layout), "somebody")


@pytest.fixture(scope="module")
def surrounded(somebody: Person, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the guests stand on: the image, a network with a name server; the key that they are told of."""
    client, key = somebody.client, new_key(tmp_path_factory.mktemp("keys"))
    surroundings(client, key)
    client.run("subnet", "set", "--dns-nameserver", "192.0.2.53", "net-v4")
    client.run("image", "create", "--file", str(_IMAGE), "--disk-format", "qcow2", "debian")
    until(client, "image", "debian", "active")
    return key


def create(client: Client, name: str, folder: Path, *words: str) -> str:
    """A server of the image with user data; the address that it is reached at from outside."""
    data = folder / "user-data"
    data.write_text(_USER_DATA)
    how = ["--flavor", "small", "--image", "debian", "--network", "net", "--key-name", "mine"]
    how += ["--security-group", "ssh", "--user-data", str(data), "--property", "of=judges", *words]
    client.run("server", "create", *how, "--wait", name)
    address = client.get("floating", "ip", "create", "outside")["floating_ip_address"]
    client.run("server", "add", "floating", "ip", name, address)
    return address


@pytest.mark.slow
@pytest.mark.timeout(3000)
@pytest.mark.parametrize(
    ("name", "source", "words"),
    [
        ("by-service", "DataSourceOpenStack", ()),
        ("by-drive", "DataSourceConfigDrive", ("--use-config-drive",)),
    ],
)
async def test_cloud_init_finds_all_that_it_is_told(
    real: Cloud, somebody: Person, surrounded: Path, tmp_path: Path, name: str, source: str, words: tuple[str]
) -> None:
    client = somebody.client
    address = create(client, name, tmp_path, *words)
    guest = Guest(real.layout.space("outside"), address, surrounded, user="debian")
    try:
        await guest.reachable(name, within=_PATIENCE)
        await done(guest)
    except Failed as error:
        raise AssertionError(client.run("console", "log", "show", name)[-5000:]) from error
    await told(client, guest, name, source)
    await connected(client, guest, name)
    client.run("server", "delete", "--wait", name)


async def done(guest: Guest) -> None:
    """Wait until cloud-init has ended, and has done all that it had to."""
    ends = time.monotonic() + _PATIENCE
    # It ends with 1 for a failure, of which it says what it was.
    while "status: done" not in (said := await guest.run("cloud-init status --long || true")):
        assert time.monotonic() < ends, said
        assert "status: error" not in said, await guest.run("sudo grep -A 20 WARN /var/log/cloud-init.log")
        await asyncio.sleep(2)


async def told(client: Client, guest: Guest, name: str, source: str) -> None:
    """It is who it was told to be, by that source, and did as its user data says."""
    result = json.loads(await guest.run("cat /run/cloud-init/result.json"))["v1"]
    assert result["errors"] == []
    assert result["datasource"].startswith(source)
    found = json.loads(await guest.run("sudo cat /run/cloud-init/instance-data-sensitive.json"))
    server = client.get("server", "show", name)
    assert (found["v1"]["instance_id"], found["v1"]["local_hostname"]) == (server["id"], name)
    assert found["ds"]["meta_data"]["meta"] == {"of": "judges"}
    assert await guest.run("cat /etc/judged /etc/copied") == "by user data" * 2
    # The root file system was made as large as the flavor's disk.
    assert int(await guest.run("df --output=size / | tail -1")) > 4_000_000


async def connected(client: Client, guest: Guest, name: str) -> None:
    """Its network is the one that it is on: address, MTU, the way out, the name server."""
    (fixed, _) = client.get("server", "show", name)["addresses"]["net"]
    assert f"inet {fixed}/24" in await guest.run("ip -4 address show eth0")
    assert int(await guest.run("cat /sys/class/net/eth0/mtu")) == client.get("network", "show", "net")["mtu"]
    assert "via 10.7.0.1" in await guest.run("ip route show default")
    assert "nameserver 192.0.2.53" in await guest.run("cat /etc/resolv.conf")
