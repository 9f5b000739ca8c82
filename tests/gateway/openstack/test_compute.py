"""Compute v2.1 as Nova's clients speak it: servers, over the real services and a simulated host."""

import base64
from collections.abc import Iterator

import httpx
import pytest

from tests.gateway.openstack.conftest import gone, until

SERVERS = "/compute/v2.1/servers"
CONTENT = b"what a simulated guest boots from"


def at(version: str) -> dict[str, str]:
    return {"x-openstack-nova-api-version": version}


def image_of(client: httpx.Client) -> str:
    image = client.post(
        "/image/v2/images", json={"name": "i", "disk_format": "raw", "container_format": "bare"}
    )
    place = f"/image/v2/images/{image.json()['id']}"
    headers = {"content-type": "application/octet-stream"}
    assert client.put(f"{place}/file", content=CONTENT, headers=headers).status_code == 204
    return image.json()["id"]


def network_of(client: httpx.Client, cidr: str) -> str:
    network = client.post("/network/v2.0/networks", json={"network": {"name": "net"}}).json()["network"]["id"]
    subnet = {"network_id": network, "cidr": cidr, "ip_version": 4}
    assert client.post("/network/v2.0/subnets", json={"subnet": subnet}).status_code == 201
    return network


@pytest.fixture(scope="module")
def flavor(operator: httpx.Client) -> Iterator[str]:
    """A small flavor."""
    body = {"flavor": {"name": "m1.test", "ram": 64, "vcpus": 1, "disk": 1, "id": "auto"}}
    answer = operator.post("/compute/v2.1/flavors", json=body)
    assert answer.status_code == 200, answer.text
    made = answer.json()["flavor"]["id"]
    yield made
    assert operator.delete(f"/compute/v2.1/flavors/{made}").status_code == 202


@pytest.fixture(scope="module")
def parts(one: httpx.Client, flavor: str) -> dict[str, str]:
    """What a server of the project is made of."""
    return {"imageRef": image_of(one), "flavorRef": flavor, "net": network_of(one, "10.11.0.0/24")}


def boot(client: httpx.Client, parts: dict[str, str], **fields: object) -> dict:
    body = {"name": "s", "imageRef": parts["imageRef"], "flavorRef": parts["flavorRef"]}
    body |= {"networks": [{"uuid": parts["net"]}], **fields}
    answer = client.post(SERVERS, json={"server": body})
    assert answer.status_code == 202, answer.text
    return until_status(client, f"{SERVERS}/{answer.json()['server']['id']}", "ACTIVE")


def until_status(client: httpx.Client, place: str, status: str) -> dict:
    def done(server: dict) -> bool:
        assert server["status"] != "ERROR" or status == "ERROR", server.get("fault")
        return server["status"] == status and server["OS-EXT-STS:task_state"] is None

    return until(client, place, "server", done)


@pytest.fixture(scope="module")
def server(one: httpx.Client, parts: dict[str, str]) -> Iterator[dict]:
    """A server that runs."""
    made = boot(one, parts, name="first", metadata={"of": "us"}, config_drive=True)
    yield made
    place = f"{SERVERS}/{made['id']}"
    assert one.delete(place).status_code == 204
    gone(one, place)


def test_versions_tell_what_is_answered(one: httpx.Client) -> None:
    first, current = one.get("/compute/").json()["versions"]
    assert (first["id"], first["version"], current["id"], current["min_version"]) == (
        "v2.0",
        "",
        "v2.1",
        "2.1",
    )
    for version in (first, current):
        href = version["links"][0]["href"]
        assert one.get(href).json()["version"]["id"] == version["id"]
    answer = one.get(SERVERS, headers=at("latest"))
    assert answer.headers["x-openstack-nova-api-version"] == current["version"]
    assert answer.headers["openstack-api-version"] == f"compute {current['version']}"
    assert one.get(SERVERS, headers=at("2.999")).status_code == 406
    assert one.get(SERVERS, headers=at("nonsense")).status_code == 400


def test_a_server_shows_what_it_is(one: httpx.Client, server: dict, parts: dict[str, str]) -> None:
    assert (server["name"], server["image"]["id"]) == ("first", parts["imageRef"])
    assert (server["metadata"], server["config_drive"]) == ({"of": "us"}, "True")
    assert server["security_groups"] == [{"name": "default"}]
    (address,) = server["addresses"]["net"]
    assert address["addr"].startswith("10.11.0.")
    assert address["OS-EXT-IPS:type"] == "fixed"
    assert server["flavor"]["id"] == parts["flavorRef"]
    assert "OS-EXT-SRV-ATTR:host" not in server
    assert "tags" not in server
    newer = one.get(f"{SERVERS}/{server['id']}", headers=at("2.96")).json()["server"]
    assert (newer["flavor"]["original_name"], newer["tags"], newer["locked"]) == ("m1.test", [], False)
    ips = one.get(f"{SERVERS}/{server['id']}/ips").json()["addresses"]
    assert ips == {"net": [{"version": 4, "addr": address["addr"]}]}
    assert one.get(f"{SERVERS}/{server['id']}/ips/none").status_code == 404


def test_a_floating_ip_is_shown_beside_the_address_it_leads_to(
    one: httpx.Client, operator: httpx.Client, server: dict, parts: dict[str, str]
) -> None:
    outer = {"name": "out", "router:external": True, "provider:network_type": "flat"}
    network = operator.post(
        "/network/v2.0/networks", json={"network": {**outer, "provider:physical_network": "elsewhere"}}
    ).json()["network"]["id"]
    subnet = {"network_id": network, "cidr": "203.0.113.0/24", "ip_version": 4}
    operator.post("/network/v2.0/subnets", json={"subnet": subnet})
    inner = one.get(f"/network/v2.0/subnets?network_id={parts['net']}").json()["subnets"][0]["id"]
    gateway = {"router": {"external_gateway_info": {"network_id": network}}}
    router = one.post("/network/v2.0/routers", json=gateway).json()["router"]["id"]
    one.put(f"/network/v2.0/routers/{router}/add_router_interface", json={"subnet_id": inner})
    (interface,) = one.get(f"{SERVERS}/{server['id']}/os-interface").json()["interfaceAttachments"]
    body = {"floatingip": {"floating_network_id": network, "port_id": interface["port_id"]}}
    floating = one.post("/network/v2.0/floatingips", json=body).json()["floatingip"]
    shown = one.get(f"{SERVERS}/{server['id']}").json()["server"]["addresses"]["net"]
    assert [(each["OS-EXT-IPS:type"], each["addr"]) for each in shown][1] == (
        "floating",
        floating["floating_ip_address"],
    )


def test_what_changes_around_a_server_is_in_the_next_list(
    one: httpx.Client, server: dict, parts: dict[str, str]
) -> None:
    """Documents are kept, each for what it was made of and whom it was made for."""

    def seen(**headers: str) -> dict:
        listed = one.get(f"{SERVERS}/detail", headers=headers).json()["servers"]
        return next(each for each in listed if each["id"] == server["id"])

    before = seen()
    for name in ("renamed", "net"):
        changed = one.put(f"/network/v2.0/networks/{parts['net']}", json={"network": {"name": name}})
        assert changed.status_code == 200, changed.text
        assert list(seen()["addresses"]) == [name]
    assert "locked" in seen(**at("2.9"))
    assert seen(host="elsewhere")["links"][0]["href"].startswith("https://elsewhere/compute/")
    assert seen() == before


def test_a_server_is_stopped_started_and_rebooted(one: httpx.Client, server: dict) -> None:
    place = f"{SERVERS}/{server['id']}"
    assert one.post(f"{place}/action", json={"os-stop": None}).status_code == 202
    until_status(one, place, "SHUTOFF")
    assert one.post(f"{place}/action", json={"os-stop": None}).status_code == 409
    assert one.post(f"{place}/action", json={"os-start": None}).status_code == 202
    until_status(one, place, "ACTIVE")
    assert one.post(f"{place}/action", json={"reboot": {"type": "HARD"}}).status_code == 202
    until_status(one, place, "ACTIVE")
    assert one.post(f"{place}/action", json={"reboot": {"type": "GENTLE"}}).status_code == 400
    done = [each["action"] for each in one.get(f"{place}/os-instance-actions").json()["instanceActions"]]
    assert done[:3] == ["reboot", "start", "stop"]
    assert done[-1] == "create"
    first = one.get(f"{place}/os-instance-actions").json()["instanceActions"][-1]
    shown = one.get(f"{place}/os-instance-actions/{first['request_id']}").json()["instanceAction"]
    assert {event["result"] for event in shown["events"]} == {"Success"}


def test_the_console_is_read(one: httpx.Client, server: dict) -> None:
    action = f"{SERVERS}/{server['id']}/action"
    assert isinstance(one.post(action, json={"os-getConsoleOutput": {}}).json()["output"], str)
    assert one.post(action, json={"os-getConsoleOutput": {"length": 1}}).status_code == 200
    assert one.post(action, json={"os-getVNCConsole": {"type": "novnc"}}).status_code == 501


def test_names_metadata_and_tags_are_changed(one: httpx.Client, server: dict) -> None:
    place = f"{SERVERS}/{server['id']}"
    assert one.put(place, json={"server": {"name": "renamed"}}).json()["server"]["name"] == "renamed"
    assert one.put(place, json={"server": {"name": "   "}}).status_code == 400
    described = {"server": {"description": "d"}}
    assert one.put(place, json=described).status_code == 400
    assert one.put(place, json=described, headers=at("2.19")).json()["server"]["description"] == "d"
    assert one.post(f"{place}/metadata", json={"metadata": {"k": "v"}}).json()["metadata"]["k"] == "v"
    assert one.delete(f"{place}/metadata/k").status_code == 204
    assert one.get(f"{place}/tags").status_code == 404
    assert one.put(f"{place}/tags/blue", headers=at("2.26")).status_code == 201
    assert one.put(f"{place}/tags/blue", headers=at("2.26")).status_code == 204
    assert one.get(f"{place}/tags", headers=at("2.26")).json() == {"tags": ["blue"]}
    found = one.get(f"{SERVERS}?tags=blue", headers=at("2.26")).json()["servers"]
    assert [each["id"] for each in found] == [server["id"]]
    assert one.delete(f"{place}/tags", headers=at("2.26")).status_code == 204


def test_a_volume_is_attached_and_detached(one: httpx.Client, server: dict) -> None:
    volume = one.post("/volume/v3/volumes", json={"volume": {"size": 1}}).json()["volume"]
    volume_place = f"/volume/v3/volumes/{volume['id']}"
    until(one, volume_place, "volume", lambda found: found["status"] == "available")
    place = f"{SERVERS}/{server['id']}/os-volume_attachments"
    answer = one.post(place, json={"volumeAttachment": {"volumeId": volume["id"]}})
    assert answer.status_code == 200, answer.text
    assert answer.json()["volumeAttachment"]["device"][:5] == "/dev/"
    attached = until(one, volume_place, "volume", lambda found: found["status"] == "in-use")
    assert attached["attachments"][0]["server_id"] == server["id"]
    shown = one.get(f"{place}/{volume['id']}").json()["volumeAttachment"]
    assert (shown["volumeId"], shown["id"], shown["device"][:5]) == (volume["id"], volume["id"], "/dev/")
    assert "id" not in one.get(place, headers=at("2.89")).json()["volumeAttachments"][0]
    assert one.delete(f"{place}/{volume['id']}").status_code == 202
    until(one, volume_place, "volume", lambda found: found["status"] == "available")
    assert one.get(f"{place}/{volume['id']}").status_code == 404


def test_security_groups_of_its_ports_are_changed(one: httpx.Client, server: dict) -> None:
    one.post("/network/v2.0/security-groups", json={"security_group": {"name": "web"}})
    action = f"{SERVERS}/{server['id']}/action"
    assert one.post(action, json={"addSecurityGroup": {"name": "web"}}).status_code == 202
    shown = one.get(f"{SERVERS}/{server['id']}").json()["server"]["security_groups"]
    assert {each["name"] for each in shown} == {"default", "web"}
    groups = one.get(f"{SERVERS}/{server['id']}/os-security-groups").json()["security_groups"]
    assert {each["name"] for each in groups} == {"default", "web"}
    assert one.post(action, json={"removeSecurityGroup": {"name": "web"}}).status_code == 202
    assert one.post(action, json={"addSecurityGroup": {"name": "none such"}}).status_code == 404


def test_lists_are_filtered_and_paged(one: httpx.Client, server: dict, parts: dict[str, str]) -> None:
    other = boot(one, parts, name="list-b", networks=[])
    third = boot(one, parts, name="list-a", networks=[])

    def names(**query: str) -> list[str]:
        answer = one.get(f"{SERVERS}/detail", params=query)
        assert answer.status_code == 200, answer.text
        return [each["name"] for each in answer.json()["servers"]]

    assert names(name="list-") == ["list-a", "list-b"]
    assert names(name="^list-.$") == []
    assert names(name="^list.*b$") == ["list-b"]
    assert names(name="list-", sort_key="display_name", sort_dir="desc") == ["list-b", "list-a"]
    assert names(name="list-", status="SHUTOFF") == []
    assert names(status="NONSENSE") == []
    assert names(uuid=other["id"]) == ["list-b"]
    assert names(ip="10.11.0.", uuid=server["id"]) == [
        one.get(f"{SERVERS}/{server['id']}").json()["server"]["name"]
    ]
    assert one.get(f"{SERVERS}?nonsense=1").status_code == 200
    assert one.get(f"{SERVERS}?nonsense=1", headers=at("2.75")).status_code == 400
    assert one.get(f"{SERVERS}?name=(a*)*b").status_code == 400
    page = one.get(f"{SERVERS}?name=list-&limit=1").json()
    following = one.get(page["servers_links"][0]["href"]).json()
    assert [each["id"] for each in (*page["servers"], *following["servers"])] == [third["id"], other["id"]]
    for each in (other, third):
        one.delete(f"{SERVERS}/{each['id']}")


def test_a_server_boots_from_a_new_volume(one: httpx.Client, parts: dict[str, str]) -> None:
    device = {
        "source_type": "image", "destination_type": "volume", "uuid": parts["imageRef"],
        "boot_index": 0, "volume_size": 1, "delete_on_termination": True,
    }  # fmt: skip
    made = boot(one, parts, imageRef="", block_device_mapping_v2=[device])
    assert made["image"] == ""
    assert len(made["os-extended-volumes:volumes_attached"]) == 1
    one.delete(f"{SERVERS}/{made['id']}")


def test_a_volume_that_was_there_goes_with_the_server_that_it_boots_unless_that_is_taken_back(
    one: httpx.Client, two: httpx.Client, parts: dict[str, str]
) -> None:
    body = {"size": 1, "imageRef": parts["imageRef"]}
    stays, goes = [one.post("/volume/v3/volumes", json={"volume": body}).json()["volume"] for _ in range(2)]
    device = {"source_type": "volume", "destination_type": "volume", "boot_index": 0}
    for volume in (stays, goes):
        place = f"/volume/v3/volumes/{volume['id']}"
        until(one, place, "volume", lambda found: found["status"] == "available")
        device |= {"uuid": volume["id"], "delete_on_termination": True}
        server = boot(one, parts, imageRef="", block_device_mapping_v2=[device])
        card = f"{SERVERS}/{server['id']}/os-volume_attachments/{volume['id']}"
        shown = one.get(card, headers=at("2.85")).json()["volumeAttachment"]
        assert shown["delete_on_termination"] is True
        if volume is stays:
            change = {"volumeAttachment": {"volumeId": volume["id"], "delete_on_termination": False}}
            assert two.put(card, json=change, headers=at("2.85")).status_code == 404
            assert one.put(card, json=change, headers=at("2.84")).status_code == 400
            other = {"volumeAttachment": {**change["volumeAttachment"], "device": "/dev/sdz"}}
            assert one.put(card, json=other, headers=at("2.85")).status_code == 400
            swap = {"volumeAttachment": {"volumeId": goes["id"]}}
            assert one.put(card, json=swap, headers=at("2.85")).status_code == 501
            assert one.put(card, json=change, headers=at("2.85")).status_code == 202
            shown = one.get(card, headers=at("2.85")).json()["volumeAttachment"]
            assert shown["delete_on_termination"] is False
        assert one.delete(f"{SERVERS}/{server['id']}").status_code == 204
    gone(one, f"/volume/v3/volumes/{goes['id']}")
    kept = until(one, f"/volume/v3/volumes/{stays['id']}", "volume", lambda found: not found["attachments"])
    assert kept["status"] == "available"
    assert one.delete(f"/volume/v3/volumes/{stays['id']}").status_code == 202


def test_what_the_schema_of_a_version_lacks_is_refused(one: httpx.Client, parts: dict[str, str]) -> None:
    def status(version: str, **fields: object) -> int:
        body = {"name": "s", "imageRef": parts["imageRef"], "flavorRef": parts["flavorRef"], **fields}
        return one.post(SERVERS, json={"server": body}, headers=at(version)).status_code

    assert status("2.1", nonsense=1) == 400
    assert status("2.1", description="d") == 400
    assert status("2.1", tags=["a"]) == 400
    assert status("2.37") == 400
    assert status("2.37", networks="sometimes") == 400
    assert status("2.57", networks="none", personality=[]) == 400
    assert status("2.1", personality=[{"path": "/x", "contents": ""}]) == 501
    assert status("2.1", user_data="%%%") == 400
    assert status("2.1", min_count=3, max_count=2) == 400
    assert status("2.1", min_count=2, flavorRef="there-is-none") == 400
    assert one.post(SERVERS, json={"server": []}).status_code == 400
    whole = {"server": {"name": "s", "imageRef": parts["imageRef"], "flavorRef": parts["flavorRef"]}}
    for hints, expected in (({"different_cell": "c"}, 501), ({"group": "g"}, 400), ({"group": 1}, 400)):
        wish = whole | {"os:scheduler_hints": hints}
        assert one.post(SERVERS, json=wish).status_code == expected, hints


def test_user_data_and_no_network_are_taken(one: httpx.Client, parts: dict[str, str]) -> None:
    data = base64.b64encode(b"#!/bin/sh\n").decode()
    body = {
        "name": "bare",
        "imageRef": parts["imageRef"],
        "flavorRef": parts["flavorRef"],
        "networks": "none",
    }
    answer = one.post(SERVERS, json={"server": {**body, "user_data": data}}, headers=at("2.37"))
    place = f"{SERVERS}/{answer.json()['server']['id']}"
    assert until_status(one, place, "ACTIVE")["addresses"] == {}
    assert one.delete(place).status_code == 204


def test_another_project_sees_and_changes_nothing(
    one: httpx.Client, two: httpx.Client, operator: httpx.Client, server: dict
) -> None:
    place = f"{SERVERS}/{server['id']}"
    assert one.get(place).status_code == 200
    assert two.get(place).status_code == 404
    assert two.delete(place).status_code == 404
    assert two.put(place, json={"server": {"name": "mine"}}).status_code == 404
    for deed in ({"os-stop": None}, {"os-getConsoleOutput": {}}, {"addSecurityGroup": {"name": "default"}}):
        assert two.post(f"{place}/action", json=deed).status_code == 404
    for part in ("os-interface", "os-volume_attachments", "os-instance-actions", "metadata", "ips"):
        assert one.get(f"{place}/{part}").status_code == 200
        assert two.get(f"{place}/{part}").status_code == 404
    assert server["id"] not in {s["id"] for s in two.get(SERVERS).json()["servers"]}
    assert two.get(f"{SERVERS}?all_tenants=1").status_code == 403
    every = operator.get(f"{SERVERS}/detail?all_tenants=1").json()["servers"]
    (seen,) = [each for each in every if each["id"] == server["id"]]
    assert seen["OS-EXT-SRV-ATTR:host"]
