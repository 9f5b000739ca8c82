"""Network v2.0 as Neutron's clients speak it, over the real services."""

from collections.abc import Iterator

import httpx
import pytest

from tests.gateway.conftest import Cloud


def _client(cloud: Cloud, token: str) -> httpx.Client:
    client = cloud.client()
    client.headers["x-auth-token"] = token
    return client


@pytest.fixture(scope="module")
def neutron(cloud: Cloud) -> Iterator[httpx.Client]:
    """An ordinary user of a project of their own."""
    with _client(cloud, cloud.member_of_a_new_project("neutron-one")) as client:
        yield client


@pytest.fixture(scope="module")
def stranger(cloud: Cloud) -> Iterator[httpx.Client]:
    """A user of another project."""
    with _client(cloud, cloud.member_of_a_new_project("neutron-two")) as client:
        yield client


@pytest.fixture(scope="module")
def administrator(cloud: Cloud) -> Iterator[httpx.Client]:
    """The administrator in their own project."""
    with _client(cloud, cloud.login()) as client:
        yield client


def make(client: httpx.Client, noun: str, many: str, **fields: object) -> dict:
    answer = client.post(f"/network/v2.0/{many}", json={noun: fields})
    assert answer.status_code == 201, answer.text
    return answer.json()[noun]


def network_with_subnet(client: httpx.Client, cidr: str, **fields: object) -> tuple[dict, dict]:
    network = make(client, "network", "networks", **fields)
    subnet = make(client, "subnet", "subnets", network_id=network["id"], cidr=cidr, ip_version=4)
    return network, subnet


def test_versions_and_extensions_tell_what_there_is(neutron: httpx.Client) -> None:
    (version,) = neutron.get("/network/").json()["versions"]
    assert version["id"] == "v2.0"
    aliases = {one["alias"] for one in neutron.get("/network/v2.0/extensions").json()["extensions"]}
    assert {"router", "security-group", "external-net"} <= aliases
    assert neutron.get("/network/v2.0/extensions/router").json()["extension"]["alias"] == "router"
    assert neutron.get("/network/v2.0/extensions/trunk").status_code == 404


def test_a_network_is_made_changed_found_by_name_and_deleted(neutron: httpx.Client) -> None:
    network, subnet = network_with_subnet(neutron, "10.1.0.0/24", name="blue")
    place = f"/network/v2.0/networks/{network['id']}"
    changed = neutron.put(place, json={"network": {"name": "green"}}).json()["network"]
    assert (changed["name"], changed["subnets"]) == ("green", [subnet["id"]])
    found = neutron.get("/network/v2.0/networks", params={"name": "green", "fields": "id"}).json()
    assert found == {"networks": [{"id": network["id"]}]}
    assert neutron.get("/network/v2.0/networks", params={"name": "blue"}).json() == {"networks": []}
    assert neutron.delete(place).status_code == 204
    assert neutron.get(place).json()["NeutronError"]["type"] == "NetworkNotFound"


def test_lists_are_paged_by_marker(neutron: httpx.Client) -> None:
    made = {make(neutron, "network", "networks", name="paged")["id"] for _ in range(3)}
    seen, url = [], "/network/v2.0/networks?name=paged&limit=2"
    while url:
        page = neutron.get(url).json()
        seen += [network["id"] for network in page["networks"]]
        url = page["networks_links"][0]["href"] if "networks_links" in page else ""
    assert len(seen) == 3
    assert set(seen) == made


def test_an_overlapping_subnet_is_refused_in_words_that_clients_look_for(neutron: httpx.Client) -> None:
    network, _ = network_with_subnet(neutron, "10.2.0.0/24", name="once")
    fields = {"network_id": network["id"], "cidr": "10.2.0.0/25", "ip_version": 4}
    answer = neutron.post("/network/v2.0/subnets", json={"subnet": fields})
    assert answer.status_code == 400
    assert "overlaps with another subnet" in answer.json()["NeutronError"]["message"]


def test_a_subnet_is_named_by_any_address_of_it(neutron: httpx.Client) -> None:
    _, subnet = network_with_subnet(neutron, "10.77.9.9/16")
    assert subnet["cidr"] == "10.77.0.0/16"
    broken = {"network_id": subnet["network_id"], "cidr": "10.78.9.9/99", "ip_version": 4}
    assert neutron.post("/network/v2.0/subnets", json={"subnet": broken}).status_code == 400


def test_a_subnet_without_a_gateway_has_none(neutron: httpx.Client) -> None:
    network, with_gateway = network_with_subnet(neutron, "10.3.0.0/24", name="inside")
    assert with_gateway["gateway_ip"] == "10.3.0.1"
    fields = {"network_id": network["id"], "cidr": "10.3.1.0/24", "ip_version": 4, "gateway_ip": None}
    assert make(neutron, "subnet", "subnets", **fields)["gateway_ip"] is None


def test_a_floating_ip_leads_to_a_port_behind_a_router(
    neutron: httpx.Client, administrator: httpx.Client
) -> None:
    outside = {"router:external": True, "provider:network_type": "flat"}
    outer, _ = network_with_subnet(
        administrator, "198.51.100.0/24", **outside, **{"provider:physical_network": "outside"}
    )
    inner, subnet = network_with_subnet(neutron, "10.4.0.0/24", name="inner")
    gateway = {"network_id": outer["id"]}
    router = make(neutron, "router", "routers", name="r", external_gateway_info=gateway)
    place = f"/network/v2.0/routers/{router['id']}"
    added = neutron.put(f"{place}/add_router_interface", json={"subnet_id": subnet["id"]}).json()
    assert added["subnet_id"] == subnet["id"]
    assert neutron.get(f"/network/v2.0/ports/{added['port_id']}").json()["port"]["device_id"] == router["id"]
    port = make(neutron, "port", "ports", network_id=inner["id"])
    floating = make(neutron, "floatingip", "floatingips", floating_network_id=outer["id"], port_id=port["id"])
    other = make(neutron, "floatingip", "floatingips", floating_network_id=outer["id"])
    assert floating["port_details"].items() <= port.items()
    listed = neutron.get("/network/v2.0/floatingips").json()["floatingips"]
    details = {each["id"]: each["port_details"] for each in listed}
    assert (details[floating["id"]], details[other["id"]]) == (floating["port_details"], None)
    (brief,) = neutron.get(f"/network/v2.0/floatingips?id={other['id']}&fields=id").json()["floatingips"]
    assert brief == {"id": other["id"]}
    assert neutron.delete(f"/network/v2.0/floatingips/{other['id']}").status_code == 204
    assert floating["fixed_ip_address"] == port["fixed_ips"][0]["ip_address"]
    away = neutron.put(
        f"/network/v2.0/floatingips/{floating['id']}", json={"floatingip": {"port_id": None}}
    ).json()["floatingip"]
    assert (away["port_id"], away["status"]) == (None, "DOWN")
    removed = neutron.put(f"{place}/remove_router_interface", json={"subnet_id": subnet["id"]}).json()
    assert removed["port_id"] == added["port_id"]
    cleared = neutron.put(place, json={"router": {"external_gateway_info": {}}}).json()["router"]
    assert cleared["external_gateway_info"] is None
    assert neutron.delete(place).status_code == 204


def test_a_security_group_has_rules(neutron: httpx.Client) -> None:
    group = make(neutron, "security_group", "security-groups", name="web")
    rule = make(
        neutron, "security_group_rule", "security-group-rules", security_group_id=group["id"],
        direction="ingress", protocol="tcp", port_range_min=80, port_range_max="81",
    )  # fmt: skip
    assert (rule["port_range_min"], rule["port_range_max"], rule["ethertype"]) == (80, 81, "IPv4")
    of = {"security_group_id": group["id"], "direction": "ingress", "remote_group_id": "none of these"}
    nobody = neutron.post("/network/v2.0/security-group-rules", json={"security_group_rule": of})
    assert nobody.status_code == 404
    shown = neutron.get(f"/network/v2.0/security-groups/{group['id']}").json()["security_group"]
    assert rule["id"] in {one["id"] for one in shown["security_group_rules"]}
    assert neutron.delete(f"/network/v2.0/security-group-rules/{rule['id']}").status_code == 204


@pytest.mark.parametrize(
    ("protocol", "low", "high", "why"),
    [
        ("tcp", -16, 80, "Invalid value for port -16"),
        ("tcp", 80, 65536, "Invalid value for port 65536"),
        ("tcp", 80, 79, "port_range_min must be <= port_range_max"),
        ("tcp", None, 6, "port_range_min must be <= port_range_max"),
        ("icmp", 1, 256, "Invalid value for ICMP code"),
        ("icmp", 300, 1, "Invalid value for ICMP type"),
        ("icmp", -1, 25, "Invalid value"),
        ("icmp", None, 6, "ICMP type (port-range-min) is missing"),
    ],
)
def test_ports_that_cannot_be_are_refused_in_neutrons_words(
    neutron: httpx.Client, protocol: str, low: int | None, high: int, why: str
) -> None:
    (group,) = neutron.get("/network/v2.0/security-groups?name=default").json()["security_groups"]
    rule = {"security_group_id": group["id"], "direction": "ingress", "protocol": protocol}
    rule |= {"port_range_min": low, "port_range_max": high}
    refused = neutron.post("/network/v2.0/security-group-rules", json={"security_group_rule": rule})
    assert refused.status_code == 400
    assert why in refused.json()["NeutronError"]["message"]


def test_another_project_sees_nothing(neutron: httpx.Client, stranger: httpx.Client) -> None:
    network = make(neutron, "network", "networks", name="secret")
    place = f"/network/v2.0/networks/{network['id']}"
    assert neutron.get(place).status_code == 200
    assert stranger.get(place).status_code == 404
    assert network["id"] not in {
        one["id"] for one in stranger.get("/network/v2.0/networks").json()["networks"]
    }


def test_what_is_not_there_is_refused_and_not_passed_over(neutron: httpx.Client) -> None:
    answer = neutron.post("/network/v2.0/networks", json={"network": {"name": "x", "qos_policy_id": "y"}})
    assert answer.status_code == 400
    assert "qos_policy_id" in answer.json()["NeutronError"]["message"]
    assert neutron.get("/network/v2.0/trunks").status_code == 404
    assert neutron.get("/network/v2.0/networks", headers={"x-auth-token": "nonsense"}).status_code == 401


def test_quotas_are_counted_and_set_by_administrators(
    neutron: httpx.Client, administrator: httpx.Client, stranger: httpx.Client
) -> None:
    project = make(neutron, "network", "networks", name="counted")["project_id"]
    place = f"/network/v2.0/quotas/{project}"
    detail = neutron.get(f"{place}/details.json").json()["quota"]
    assert detail["network"]["used"] >= 1
    assert detail["security_group_rule"]["used"] >= 1
    assert stranger.get(place).status_code == 404
    assert neutron.put(place, json={"quota": {"network": 9}}).status_code == 403
    assert administrator.put(place, json={"quota": {"network": 99}}).json()["quota"]["network"] == 99
    assert administrator.put(place, json={"quota": {"stars": 1}}).status_code == 400
    assert neutron.get(f"{place}/details").json()["quota"]["network"]["limit"] == 99
    assert neutron.delete(place).status_code == 403
    assert administrator.delete(place).status_code == 204
    after = administrator.get(place).json()
    assert after == administrator.get(f"{place}/default").json()
    assert after["quota"]["network"] != 99


def test_administrators_see_every_project(neutron: httpx.Client, administrator: httpx.Client) -> None:
    network = make(neutron, "network", "networks", name="of somebody")
    place = f"/network/v2.0/networks/{network['id']}"
    assert administrator.get(place).json()["network"]["name"] == "of somebody"
    listed = administrator.get("/network/v2.0/networks", params={"project_id": network["project_id"]}).json()
    assert network["id"] in {each["id"] for each in listed["networks"]}


def test_many_are_made_in_one_call_or_none(neutron: httpx.Client) -> None:
    place = "/network/v2.0/networks"
    two = {"networks": [{"name": "bulk"}, {"name": "bulk"}]}
    answer = neutron.post(place, json=two)
    assert answer.status_code == 201
    assert len({each["id"] for each in answer.json()["networks"]}) == 2
    broken = {"networks": [{"name": "half"}, {"name": "half", "mtu": 1}]}
    assert neutron.post(place, json=broken).status_code == 400
    assert neutron.get(place, params={"name": "half"}).json() == {"networks": []}
    assert neutron.post(place, json={"networks": []}).status_code == 400


def test_an_owner_may_be_named_who_is_the_caller(neutron: httpx.Client, stranger: httpx.Client) -> None:
    own = make(neutron, "network", "networks", name="own")["project_id"]
    assert make(neutron, "network", "networks", name="said", tenant_id=own)["project_id"] == own
    other = {"network": {"name": "theirs", "project_id": own}}
    assert stranger.post("/network/v2.0/networks", json=other).status_code == 403


def test_administrators_make_things_for_a_project(neutron: httpx.Client, administrator: httpx.Client) -> None:
    owner = {"tenant_id": make(neutron, "network", "networks", name="whose")["project_id"]}
    network = make(administrator, "network", "networks", name="given", **owner)
    given = {"network_id": network["id"], "cidr": "10.77.0.0/24", "ip_version": 4}
    subnet = make(administrator, "subnet", "subnets", **given, **owner)
    router = make(administrator, "router", "routers", name="given", **owner)
    place = f"/network/v2.0/routers/{router['id']}"
    for deed in ("add_router_interface", "remove_router_interface"):
        answer = administrator.put(f"{place}/{deed}", json={"subnet_id": subnet["id"]})
        assert answer.status_code == 200, answer.text
    port = make(neutron, "port", "ports", network_id=network["id"])
    for noun, each in (("ports", port), ("routers", router), ("networks", network)):
        assert neutron.get(f"/network/v2.0/{noun}/{each['id']}").status_code == 200
        assert administrator.delete(f"/network/v2.0/{noun}/{each['id']}").status_code == 204


def test_a_routers_address_outside_is_chosen_by_administrators_alone(
    neutron: httpx.Client, administrator: httpx.Client
) -> None:
    network, _ = network_with_subnet(administrator, "192.0.2.0/24", **{"router:external": True})
    outside = {"network_id": network["id"]}
    router = make(neutron, "router", "routers", external_gateway_info=outside)
    place, given = f"/network/v2.0/routers/{router['id']}", router["external_gateway_info"]
    again = neutron.put(place, json={"router": {"external_gateway_info": given}})
    assert again.json()["router"]["external_gateway_info"] == given
    (held,) = given["external_fixed_ips"]
    chosen = outside | {"external_fixed_ips": [{**held, "ip_address": "192.0.2.77"}]}
    body = {"router": {"external_gateway_info": chosen}}
    assert neutron.put(place, json=body).status_code == 403
    assert neutron.post("/network/v2.0/routers", json=body).status_code == 403
    moved = administrator.put(place, json=body).json()["router"]["external_gateway_info"]
    assert moved == chosen | {"enable_snat": True}
    assert administrator.post("/network/v2.0/routers", json=body).status_code == 409
    beside = {"external_fixed_ips": [{"subnet_id": held["subnet_id"], "ip_address": "192.0.2.78"}]}
    made = make(administrator, "router", "routers", external_gateway_info=outside | beside)
    assert made["external_gateway_info"]["external_fixed_ips"] == beside["external_fixed_ips"]
    assert administrator.delete(f"/network/v2.0/routers/{made['id']}").status_code == 204
    assert neutron.delete(place).status_code == 204
    assert administrator.delete(f"/network/v2.0/networks/{network['id']}").status_code == 204
