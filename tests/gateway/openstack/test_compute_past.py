"""What Nova passed on to other services before 2.36, and its hosts before 2.43."""

import time
from collections.abc import Iterator

import httpx
import pytest

from tests.gateway.conftest import Cloud
from tests.gateway.openstack.conftest import gone, speaking, until
from tests.gateway.openstack.test_compute import at, boot, flavor, image_of, parts

NOVA = "/compute/v2.1"
__all__ = ["flavor", "parts"]


@pytest.fixture(scope="module")
def one(cloud: Cloud) -> Iterator[httpx.Client]:
    """A user of a project of its own."""
    with speaking(cloud, cloud.member_of_a_new_project("openstack-past")) as client:
        yield client


@pytest.fixture
def outside(operator: httpx.Client) -> Iterator[str]:
    """An external network."""
    body = {"network": {"name": "out-of-the-past", "router:external": True}}
    network = operator.post("/network/v2.0/networks", json=body).json()["network"]["id"]
    subnet = {"network_id": network, "cidr": "198.51.100.0/24", "ip_version": 4}
    assert operator.post("/network/v2.0/subnets", json={"subnet": subnet}).status_code == 201
    yield network
    assert operator.delete(f"/network/v2.0/networks/{network}").status_code == 204


def until_taken(client: httpx.Client, place: str, body: dict) -> httpx.Response:
    """The answer once nothing else is under way there."""
    ends = time.monotonic() + 60
    while (answer := client.post(place, json=body)).status_code in (400, 409) and time.monotonic() < ends:
        time.sleep(0.1)
    return answer


def test_images_are_listed_shown_keyed_and_deleted(one: httpx.Client, two: httpx.Client) -> None:
    id = image_of(one)
    place = f"{NOVA}/images/{id}"
    shown = one.get(place).json()["image"]
    assert (shown["status"], shown["progress"], shown["metadata"]) == ("ACTIVE", 100, {})
    assert one.post(f"{place}/metadata", json={"metadata": {"k": "v"}}).json() == {"metadata": {"k": "v"}}
    assert one.get(f"{place}/metadata/k").json() == {"meta": {"k": "v"}}
    assert id in [each["id"] for each in one.get(f"{NOVA}/images/detail?status=ACTIVE").json()["images"]]
    assert id not in [each["id"] for each in one.get(f"{NOVA}/images?type=snapshot").json()["images"]]
    assert two.get(place).status_code == 404
    assert one.get(place, headers=at("2.36")).status_code == 404
    assert one.delete(place).status_code == 204
    assert one.get(place).status_code == 404


def test_floating_ips_are_taken_from_pools_and_given_to_servers(
    one: httpx.Client, two: httpx.Client, outside: str, parts: dict[str, str]
) -> None:
    assert {"name": "out-of-the-past"} in one.get(f"{NOVA}/os-floating-ip-pools").json()["floating_ip_pools"]
    assert one.post(f"{NOVA}/os-floating-ips", json={"pool": "none"}).status_code == 404
    made = one.post(f"{NOVA}/os-floating-ips", json={"pool": "out-of-the-past"}).json()["floating_ip"]
    place = f"{NOVA}/os-floating-ips/{made['id']}"
    assert two.get(place).status_code == 404
    router = {"router": {"external_gateway_info": {"network_id": outside}}}
    way = f"/network/v2.0/routers/{one.post('/network/v2.0/routers', json=router).json()['router']['id']}"
    (subnet,) = one.get("/network/v2.0/subnets", params={"network_id": parts["net"]}).json()["subnets"]
    inside = {"subnet_id": subnet["id"]}
    assert one.put(f"{way}/add_router_interface", json=inside).status_code == 200
    server = boot(one, parts)
    deeds = f"{NOVA}/servers/{server['id']}/action"
    assert one.post(deeds, json={"addFloatingIp": {"address": "198.51.100.250"}}).status_code == 404
    assert one.post(deeds, json={"addFloatingIp": {"address": made["ip"]}}).status_code == 202
    assert one.get(place).json()["floating_ip"]["instance_id"] == server["id"]
    second = one.post(f"{NOVA}/os-floating-ips", json={"pool": "out-of-the-past"}).json()["floating_ip"]
    assert one.post(deeds, json={"addFloatingIp": {"address": second["ip"]}}).status_code == 400
    assert one.delete(f"{NOVA}/os-floating-ips/{second['id']}").status_code == 202
    assert one.post(deeds, json={"removeFloatingIp": {"address": made["ip"]}}).status_code == 202
    assert one.post(deeds, json={"removeFloatingIp": {"address": made["ip"]}}).status_code == 409
    assert one.get(place).json()["floating_ip"]["instance_id"] is None
    assert one.delete(f"{NOVA}/servers/{server['id']}").status_code == 204
    gone(one, f"{NOVA}/servers/{server['id']}")
    assert one.delete(place).status_code == 202
    assert one.put(f"{way}/remove_router_interface", json=inside).status_code == 200
    assert one.delete(way).status_code == 204


def test_a_server_is_given_another_address_and_loses_it(
    one: httpx.Client, two: httpx.Client, parts: dict[str, str]
) -> None:
    server = boot(one, parts)
    place = f"{NOVA}/servers/{server['id']}"

    def addresses(count: int) -> set[str]:
        found = until(one, place, "server", lambda each: sum(map(len, each["addresses"].values())) == count)
        return {each["addr"] for listed in found["addresses"].values() for each in listed}

    def port() -> dict:
        return one.get("/network/v2.0/ports", params={"device_id": server["id"]}).json()["ports"][0]

    (first,) = addresses(1)
    more = {"addFixedIp": {"networkId": parts["net"]}}
    assert two.post(f"{place}/action", json=more).status_code == 404
    assert one.post(f"{place}/action", json=more, headers=at("2.44")).status_code == 400
    nowhere = {"addFixedIp": {"networkId": server["id"]}}
    assert one.post(f"{place}/action", json=nowhere).status_code == 404
    assert one.post(f"{place}/action", json=more).status_code == 202
    both = addresses(2)
    assert both == {each["ip_address"] for each in port()["fixed_ips"]}
    assert port()["fixed_ips"][0]["ip_address"] == first
    (second,) = both - {first}
    assert one.post(f"{place}/action", json={"removeFixedIp": {"address": "192.0.2.1"}}).status_code == 400
    assert one.post(f"{place}/action", json={"removeFixedIp": {"address": second}}).status_code == 202
    assert addresses(1) == {first}
    assert [each["ip_address"] for each in port()["fixed_ips"]] == [first]
    assert one.delete(place).status_code == 204
    gone(one, place)


def test_a_volume_is_attached_and_detached_as_cinder_has_it(
    one: httpx.Client, two: httpx.Client, parts: dict[str, str]
) -> None:
    server = boot(one, parts)
    made = one.post("/volume/v3/volumes", json={"volume": {"size": 1}}).json()["volume"]["id"]
    place = f"/volume/v3/volumes/{made}"
    until(one, place, "volume", lambda each: each["status"] == "available")
    attach = {"os-attach": {"instance_uuid": server["id"], "mountpoint": "/dev/vdb"}}
    assert two.post(f"{place}/action", json=attach).status_code == 404
    assert one.post(f"{place}/action", json={"os-detach": {}}).status_code == 400
    assert one.post(f"{place}/action", json=attach).status_code == 202
    until(one, place, "volume", lambda each: each["status"] == "in-use")
    until(one, f"{NOVA}/servers/{server['id']}", "server", lambda each: not each["OS-EXT-STS:task_state"])
    detached = until_taken(one, f"{place}/action", {"os-detach": {}})
    assert detached.status_code == 202, detached.text
    until(one, place, "volume", lambda each: each["status"] == "available")
    assert one.delete(f"{NOVA}/servers/{server['id']}").status_code == 204
    gone(one, f"{NOVA}/servers/{server['id']}")
    assert one.delete(place).status_code == 202


def test_volumes_and_snapshots_are_made_and_deleted(one: httpx.Client, two: httpx.Client) -> None:
    body = {"volume": {"display_name": "old", "size": 1}}
    made = one.post(f"{NOVA}/os-volumes", json=body).json()["volume"]
    place = f"{NOVA}/os-volumes/{made['id']}"
    shown = until(one, place, "volume", lambda each: each["status"] == "available")
    assert (shown["displayName"], shown["attachments"]) == ("old", [{}])
    assert made["id"] in [each["id"] for each in one.get(f"{NOVA}/os-volumes/detail").json()["volumes"]]
    assert two.get(place).status_code == 404
    wish = {"snapshot": {"volume_id": made["id"], "display_name": "then"}}
    snapshot = one.post(f"{NOVA}/os-snapshots", json=wish).json()["snapshot"]
    then = f"{NOVA}/os-snapshots/{snapshot['id']}"
    until(one, then, "snapshot", lambda each: each["status"] == "available")
    assert one.delete(then).status_code == 202
    gone(one, then)
    assert one.delete(place).status_code == 202
    gone(one, place)


def test_networks_are_shown(one: httpx.Client, parts: dict[str, str]) -> None:
    for noun in ("os-networks", "os-tenant-networks"):
        shown = one.get(f"{NOVA}/{noun}/{parts['net']}").json()["network"]
        assert shown == {"id": parts["net"], "label": "net", "cidr": None}
        assert shown in one.get(f"{NOVA}/{noun}").json()["networks"]


def test_hosts_are_a_resource_of_operators(one: httpx.Client, operator: httpx.Client) -> None:
    (host,) = operator.get(f"{NOVA}/os-hosts").json()["hosts"]
    assert operator.get(f"{NOVA}/os-hosts?zone=elsewhere").json() == {"hosts": []}
    place = f"{NOVA}/os-hosts/{host['host_name']}"
    assert operator.get(place).json()["host"][0]["resource"]["project"] == "(total)"
    assert operator.put(place, json={"maintenance_mode": "enable"}).status_code == 501
    for status in ("disable", "enable"):
        assert operator.put(place, json={"status": status}).json()["status"] == f"{status}d"
    assert operator.get(f"{place}/reboot").status_code == 501
    assert operator.get(f"{NOVA}/os-hosts/none/reboot").status_code == 404
    assert one.get(f"{NOVA}/os-hosts").status_code == 403
