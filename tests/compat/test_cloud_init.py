"""cloud-init's own code reads what weft tells a guest: by metadata service and from the config drive."""

import asyncio
import json
import os
import subprocess
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from node import metadata
from node.guest import config_drive
from node.wire.http import Connection
from tests.compat.install import unpacked
from tests.node.conftest import spec
from weft.node.v1.resources_pb2 import GuestAddress, GuestMetadata, GuestPort

_READS = Path(__file__).with_name("cloud_init_reads.py")
KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ8H6r3mTgpFoD9DqbJYJPHnYcXS0bnXcTlVqB3QfM5R ada"
FIRST = GuestPort(
    port_id="0b7ad2f6-9d0e-4a52-8f31-0e9b0c9f2b01",
    network_id="7d9e8c3a-1111-4222-8333-944455556666",
    mac_address="fa:16:3e:00:00:01",
    mtu=1450,
    addresses=[
        GuestAddress(address="10.0.0.5/24", gateway="10.0.0.1", dns_nameservers=["192.0.2.53"]),
        GuestAddress(address="2001:db8::5/64", gateway="2001:db8::1"),
    ],
)
SECOND = GuestPort(
    port_id="1c7ad2f6-9d0e-4a52-8f31-0e9b0c9f2b02",
    network_id="8e9e8c3a-1111-4222-8333-944455556666",
    mac_address="fa:16:3e:00:00:02",
    addresses=[GuestAddress(address="10.1.0.5/16")],
)
GUEST = spec(
    server_id="c0ffee00-1234-4567-89ab-001122334455",
    ports=[FIRST, SECOND],
    metadata=GuestMetadata(
        hostname="web-1.example", name="web 1", project_id="3f2c1b0a-aaaa-4bbb-8ccc-1234567890ab",
        public_keys={"ada": KEY}, user_data=b"#cloud-config\nruncmd: [date]\n", metadata={"role": "web"},
        availability_zone="nova", flavor_name="small", security_groups=["default"],
    ),
)  # fmt: skip


async def read(how: str, where: str | Path, folder: Path) -> dict[str, Any]:
    """What cloud-init found; it warned of nothing."""
    packages = unpacked("cloud-init") / "usr" / "lib" / "python3" / "dist-packages"
    child = await asyncio.create_subprocess_exec(
        "/usr/bin/python3", _READS, how, where, folder,
        env={"PATH": os.environ["PATH"], "PYTHONPATH": str(packages)},
        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip
    out, err = await child.communicate()
    assert child.returncode == 0, err.decode()
    assert b"WARNING" not in err, err.decode()
    return json.loads(out)


@pytest.fixture
async def service() -> AsyncIterator[str]:
    """The metadata service of the guest."""
    documents = metadata.documents(GUEST, FIRST)
    loop = asyncio.get_running_loop()
    server = await loop.create_server(
        lambda: Connection(lambda _, path: documents.get("/".join(filter(None, path.split("/"))))),
        "127.0.0.1",
        0,
    )
    yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    server.close()


def holds(found: dict[str, Any]) -> None:
    """What is told in OpenStack's form is all there."""
    told = found["metadata"]
    assert told["instance-id"] == told["uuid"] == GUEST.server_id
    assert (told["local-hostname"], told["name"]) == ("web-1.example", "web 1")
    assert found["keys"] == [KEY]
    assert told["meta"] == {"role": "web"}
    assert found["userdata"] == GUEST.metadata.user_data.decode()
    assert found["vendordata"] == {}
    assert found["version"] == 2
    first, second = found["interfaces"].split("auto eth1")
    assert "hwaddress fa:16:3e:00:00:01" not in second
    for line in ("address 10.0.0.5/24", "gateway 10.0.0.1", "mtu 1450", "address 2001:db8::5/64"):
        assert line in first
    assert "dns-nameservers 192.0.2.53" in found["interfaces"]
    assert "address 10.1.0.5/16" in second
    assert "gateway" not in second


async def test_the_openstack_service_tells_all(service: str, tmp_path: Path) -> None:
    holds(await read("openstack", service, tmp_path))


async def test_the_config_drive_tells_all(tmp_path: Path) -> None:
    drive, folder = tmp_path / "drive.iso", tmp_path / "drive"
    config_drive.write(GUEST, drive)
    command = ["xorriso", "-osirrox", "on", "-indev", drive, "-extract", "/", folder]
    await asyncio.to_thread(subprocess.run, command, check=True, capture_output=True)
    holds(await read("drive", folder, tmp_path))


async def test_the_ec2_service_tells_all(service: str, tmp_path: Path) -> None:
    found = await read("ec2", service, tmp_path)
    told = found["metadata"]
    assert (told["local-hostname"], told["local-ipv4"]) == ("web-1.example", "10.0.0.5")
    assert told["placement"] == {"availability-zone": "nova"}
    assert found["keys"] == [KEY]
    assert found["userdata"] == GUEST.metadata.user_data.decode()
