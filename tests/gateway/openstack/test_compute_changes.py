"""Compute v2.1: a server is paused, suspended, locked, given ports, resized, rebuilt."""

import asyncio

import httpx
import pytest

from mesh.certificates import Authority, Identity
from mesh.channel import connect
from tests.gateway.conftest import Cloud
from tests.gateway.openstack.conftest import gone, until
from tests.gateway.openstack.test_compute import SERVERS, at, boot, image_of, network_of, until_status
from weft.compute.v1.password_service_pb2 import LeavePasswordRequest
from weft.compute.v1.password_service_pb2_grpc import PasswordServiceStub


@pytest.fixture(scope="module")
def flavors(operator: httpx.Client) -> list[str]:
    """A small one and a larger one."""
    made = []
    for name, ram in (("changes-1", 64), ("changes-2", 128)):
        body = {"flavor": {"name": name, "ram": ram, "vcpus": 1, "disk": 1}}
        made.append(operator.post("/compute/v2.1/flavors", json=body).json()["flavor"]["id"])
    return made


@pytest.fixture(scope="module")
def server(two: httpx.Client, flavors: list[str]) -> dict:
    """A server that runs."""
    parts = {"imageRef": image_of(two), "flavorRef": flavors[0], "net": network_of(two, "10.31.0.0/24")}
    return {**boot(two, parts, name="changing"), **{"net": parts["net"]}}


def act(
    client: httpx.Client, server: dict, deed: dict, status: int = 202, version: str = "2.1"
) -> httpx.Response:
    answer = client.post(f"{SERVERS}/{server['id']}/action", json=deed, headers=at(version))
    assert answer.status_code == status, answer.text
    return answer


def test_several_are_made_at_once_or_none(two: httpx.Client, flavors: list[str], server: dict) -> None:
    body = {"imageRef": server["image"]["id"], "flavorRef": flavors[0], "min_count": 1, "max_count": 2}
    body |= {"accessIPv4": "192.0.2.1", "accessIPv6": "2001:db8::1", "networks": [{"uuid": server["net"]}]}
    assert two.post(SERVERS, json={"server": {"name": "twin", **body}}).status_code == 202
    made = two.get(f"{SERVERS}/detail", params={"name": "twin"}).json()["servers"]
    assert sorted(each["name"] for each in made) == ["twin-1", "twin-2"]
    assert {(each["accessIPv4"], each["accessIPv6"]) for each in made} == {("192.0.2.1", "2001:db8::1")}
    for each in made:
        assert two.delete(f"{SERVERS}/{each['id']}").status_code == 204
        gone(two, f"{SERVERS}/{each['id']}")
    body |= {"min_count": 100, "max_count": 100}
    assert two.post(SERVERS, json={"server": {"name": "many", **body}}).status_code == 403
    for each in two.get(f"{SERVERS}?name=many").json()["servers"]:
        gone(two, f"{SERVERS}/{each['id']}")


def left_by_its_guest(cloud: Cloud, server: dict, text: str) -> None:
    """As its host's agent hands it over."""
    with cloud.client(cloud.login(system=True)) as system:
        host_id = system.get(f"/compute/v1/servers/{server['id']}").json()["host_id"]
    leaf = Authority.open_or_create(cloud.state / "pki").issue(Identity.node(host_id))
    request = LeavePasswordRequest(host_id=host_id, server_id=server["id"], encrypted=text)

    async def hand_over() -> None:
        address = cloud.environ["WEFT_SERVICES__COMPUTE__ADDRESS"]
        client = connect(address, cloud.ca, leaf=leaf, server_name=Identity.service("compute").dns)
        try:
            await client.stub(PasswordServiceStub).LeavePassword(request)  # type: ignore[misc]
        finally:
            await client.close()

    asyncio.run(hand_over())


def test_what_its_guest_leaves_is_told_until_it_is_cleared(
    cloud: Cloud, one: httpx.Client, two: httpx.Client, server: dict
) -> None:
    place = f"{SERVERS}/{server['id']}/os-server-password"
    assert two.get(place).json() == {"password": ""}
    left_by_its_guest(cloud, server, "q83vEjRWeJA=")
    assert two.get(place).json() == {"password": "q83vEjRWeJA="}
    assert [one.get(place).status_code, one.delete(place).status_code] == [404, 404]
    assert two.get(place).json() == {"password": "q83vEjRWeJA="}
    assert two.delete(place).status_code == 204
    assert two.get(place).json() == {"password": ""}


def test_it_is_paused_and_suspended_and_goes_on(two: httpx.Client, server: dict) -> None:
    place = f"{SERVERS}/{server['id']}"
    for deed, then in (
        ("pause", "PAUSED"),
        ("unpause", "ACTIVE"),
        ("suspend", "SUSPENDED"),
        ("resume", "ACTIVE"),
    ):
        act(two, server, {deed: None})
        until_status(two, place, then)
    act(two, server, {"resume": None}, 409)


def test_a_lock_is_shown_and_holds_changes_off(two: httpx.Client, server: dict) -> None:
    place = f"{SERVERS}/{server['id']}"
    act(two, server, {"lock": {"locked_reason": "mine"}}, version="2.73")
    shown = two.get(place, headers=at("2.73")).json()["server"]
    assert (shown["locked"], shown["locked_reason"]) == (True, "mine")
    act(two, server, {"unlock": None})
    assert two.get(place, headers=at("2.9")).json()["server"]["locked"] is False


def test_it_is_given_another_port_and_loses_it(two: httpx.Client, server: dict) -> None:
    place = f"{SERVERS}/{server['id']}/os-interface"
    answer = two.post(place, json={"interfaceAttachment": {"net_id": server["net"]}})
    assert answer.status_code == 200, answer.text
    port = answer.json()["interfaceAttachment"]
    assert port["fixed_ips"][0]["ip_address"].startswith("10.31.0.")
    assert len(two.get(place).json()["interfaceAttachments"]) == 2
    assert two.delete(f"{place}/{port['port_id']}").status_code == 202
    until(two, place, "interfaceAttachments", lambda found: len(found) == 1)
    assert two.post(place, json={"interfaceAttachment": {}}).status_code == 400


def test_it_is_resized_and_confirmed(two: httpx.Client, server: dict, flavors: list[str]) -> None:
    place = f"{SERVERS}/{server['id']}"
    act(two, server, {"resize": {"flavorRef": flavors[1]}})
    until_status(two, place, "VERIFY_RESIZE")
    act(two, server, {"confirmResize": None}, 204)
    assert until_status(two, place, "ACTIVE")["flavor"]["id"] == flavors[1]


def test_it_is_rebuilt_with_its_addresses(two: httpx.Client, server: dict) -> None:
    image = image_of(two)
    deed = {"rebuild": {"imageRef": image, "name": "rebuilt", "metadata": {"a": "b"}}}
    (listed,) = act(two, server, deed).json()["server"]["addresses"].values()
    assert [set(each) for each in listed] == [{"version", "addr"}]
    shown = until_status(two, f"{SERVERS}/{server['id']}", "ACTIVE")
    assert (shown["image"]["id"], shown["name"], shown["metadata"]) == (image, "rebuilt", {"a": "b"})
    assert shown["addresses"] == server["addresses"]
    act(two, server, {"restore": None}, 409)
