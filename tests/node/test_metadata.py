"""What guests are told about themselves."""

import json
import subprocess
from pathlib import Path

from google.protobuf.timestamp_pb2 import Timestamp

from node import metadata
from node.guest import config_drive
from tests.node.conftest import spec
from weft.network.v1.host_state_pb2 import HostPort
from weft.node.v1.resources_pb2 import GuestAddress, GuestMetadata, GuestPort

PORT = GuestPort(
    port_id="0b7ad2f6-9d0e-4a52-8f31-0e9b0c9f2b01",
    network_id="7d9e8c3a-1111-4222-8333-944455556666",
    mac_address="fa:16:3e:00:00:01",
    mtu=1450,
    addresses=[GuestAddress(address="10.0.0.5/24", gateway="10.0.0.1", dns_nameservers=["192.0.2.53"])],
)
TOLD = GuestMetadata(
    hostname="web-1.example",
    name="web 1",
    project_id="3f2c1b0a-aaaa-4bbb-8ccc-1234567890ab",
    public_keys={"ada": "ssh-ed25519 AAAA ada", "bob": "ssh-ed25519 BBBB bob"},
    user_data=b"#!/bin/sh\necho \xff\n",
    metadata={"role": "web"},
    availability_zone="nova",
    flavor_name="small",
    launched_at=Timestamp(seconds=1_700_000_000),
    security_groups=["default", "web"],
)
GUEST = spec(metadata=TOLD, ports=[PORT], server_id="c0ffee00-1234-4567-89ab-001122334455")


def test_openstack_metadata_names_the_server_and_its_keys() -> None:
    told = json.loads(metadata.documents(GUEST, PORT)["openstack/latest/meta_data.json"])
    assert told["uuid"] == GUEST.server_id
    assert (told["name"], told["hostname"], told["availability_zone"]) == ("web 1", "web-1.example", "nova")
    assert told["public_keys"] == {"ada": "ssh-ed25519 AAAA ada", "bob": "ssh-ed25519 BBBB bob"}
    assert told["meta"] == {"role": "web"}


def test_network_data_describes_each_card() -> None:
    told = json.loads(metadata.documents(GUEST, PORT)["openstack/latest/network_data.json"])
    (link,), (network,) = told["links"], told["networks"]
    assert (link["ethernet_mac_address"], link["mtu"]) == (PORT.mac_address, 1450)
    assert network["link"] == link["id"]
    assert (network["type"], network["ip_address"], network["netmask"]) == (
        "ipv4",
        "10.0.0.5",
        "255.255.255.0",
    )
    assert network["routes"] == [{"network": "0.0.0.0", "netmask": "0.0.0.0", "gateway": "10.0.0.1"}]
    assert told["services"] == [{"type": "dns", "address": "192.0.2.53"}]


def test_ec2_metadata_can_be_walked_from_its_listings() -> None:
    found = metadata.documents(GUEST, PORT)

    def walk(path: str) -> dict[str, bytes]:
        leaves = {}
        for entry in found[path].decode().splitlines():
            name, _, is_key = entry.partition("=")
            below = f"{path}/{name.rstrip('/')}"
            leaves.update(walk(below) if entry.endswith("/") or is_key else {below: found[below]})
        return leaves

    leaves = walk("2009-04-04/meta-data")
    assert leaves["2009-04-04/meta-data/local-ipv4"] == b"10.0.0.5"
    assert leaves["2009-04-04/meta-data/public-keys/0/openssh-key"] == b"ssh-ed25519 AAAA ada"
    assert leaves["2009-04-04/meta-data/public-keys/1/openssh-key"] == b"ssh-ed25519 BBBB bob"
    assert leaves["2009-04-04/meta-data/security-groups"] == b"default\nweb"
    assert leaves["2009-04-04/meta-data/placement/availability-zone"] == b"nova"
    assert found["latest/meta-data/instance-id"].startswith(b"i-c0ffee00")


def test_ec2_metadata_tells_the_floating_ip_that_leads_to_the_port() -> None:
    def told(*floating_ips: str) -> dict[str, bytes]:
        wired = HostPort(fixed_ips=[{"ip_address": "10.0.0.6"}], floating_ips=floating_ips)
        return metadata.documents(GUEST, PORT, wired)

    led, free = told("203.0.113.7", "203.0.113.8"), told()
    for version in metadata.EC2_VERSIONS:
        assert led[f"{version}/meta-data/public-ipv4"] == b"203.0.113.7"
        assert free[f"{version}/meta-data/public-ipv4"] == b""
        assert led[f"{version}/meta-data/local-ipv4"] == b"10.0.0.6"


def test_a_place_for_a_password_is_listed_and_is_no_document() -> None:
    found = metadata.documents(GUEST, PORT)
    for version in metadata.OPENSTACK_VERSIONS:
        assert b"password" in found[f"openstack/{version}"].splitlines()
        assert metadata.is_password(f"openstack/{version}/password")
        assert f"openstack/{version}/password" not in found
    assert not metadata.is_password("openstack/latest/meta_data.json")


def test_user_data_is_given_as_it_is_and_only_where_there_is_some() -> None:
    with_data, without = metadata.documents(GUEST, PORT), metadata.documents(spec(), None)
    for path in ("openstack/latest/user_data", "latest/user-data"):
        assert with_data[path] == TOLD.user_data
        assert path not in without
    assert b"user_data" in with_data["openstack/latest"]
    assert b"user_data" not in without["openstack/latest"]


def test_the_config_drive_has_the_label_and_the_files(tmp_path: Path) -> None:
    drive = tmp_path / "config.iso"
    config_drive.write(GUEST, drive)
    assert b"config-2" in drive.read_bytes()[32768:34816]
    out = tmp_path / "out"
    command = ["xorriso", "-osirrox", "on", "-indev", f"stdio:{drive}", "-extract", "/", out]
    subprocess.run(command, check=True, capture_output=True)
    assert (out / "openstack/latest/user_data").read_bytes() == TOLD.user_data
    assert json.loads((out / "openstack/latest/meta_data.json").read_bytes())["uuid"] == GUEST.server_id
    assert {path.name for path in tmp_path.iterdir()} == {"config.iso", "out"}
