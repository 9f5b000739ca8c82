"""Placement as its clients speak it, over the real services."""

import uuid

import httpx
import pytest

from tests.gateway.conftest import Cloud


@pytest.fixture(scope="module")
def placement(cloud: Cloud):
    """Calls of the system's administrator."""
    with cloud.client() as client:
        client.headers["x-auth-token"] = cloud.login(system=True)
        client.headers["openstack-api-version"] = "placement 1.39"
        yield client


def new(client: httpx.Client) -> dict:
    answer = client.post("/placement/resource_providers", json={"name": f"host-{uuid.uuid4()}"})
    assert answer.status_code == 200, answer.text
    return answer.json()


def test_who_takes_no_json_is_told_in_a_page(placement: httpx.Client) -> None:
    for accept, kind in (("text/html", "text/html"), ("text/html, application/json", "application/json")):
        answer = placement.get("/placement/nowhere", headers={"accept": accept})
        assert answer.status_code == 404
        assert answer.headers["content-type"].partition(";")[0] == kind
        assert "could not be found" in answer.text


def test_inventories_are_cleared_from_1_5_on(placement: httpx.Client) -> None:
    path = f"/placement/resource_providers/{new(placement)['uuid']}/inventories"
    early = placement.delete(path, headers={"openstack-api-version": "placement 1.4"})
    assert (early.status_code, early.headers["allow"]) == (405, "GET, POST, PUT")
    assert placement.delete(path, headers={"openstack-api-version": "placement 1.5"}).status_code == 204


def test_a_microversion_has_what_it_had_and_no_more(placement: httpx.Client) -> None:
    def at(version: str, path: str, **more: object) -> httpx.Response:
        return placement.get(f"/placement{path}", headers={"openstack-api-version": version}, **more)

    (version,) = placement.get("/placement/").json()["versions"]
    assert (version["min_version"], version["max_version"]) == ("1.0", "1.39")
    for asked, answered in (("1.38", "1.38"), ("latest", "1.39")):
        answer = at(f"placement {asked}", "/traits")
        assert answer.headers["openstack-api-version"] == f"placement {answered}"
    assert at("compute 2.1", "/").headers["openstack-api-version"] == "placement 1.0"
    refused = at("placement 1.99", "/traits")
    assert refused.status_code == refused.json()["errors"][0]["status"] == 406
    assert at("placement 1.5", "/traits").status_code == 404
    nowhere = at("placement 1.7", "/nowhere")
    assert (nowhere.status_code, nowhere.headers["openstack-api-version"]) == (404, "placement 1.7")
    path = f"/resource_providers/{new(placement)['uuid']}"
    assert "root_provider_uuid" not in at("placement 1.13", path).json()
    assert "last-modified" not in at("placement 1.14", path).headers
    assert "last-modified" in at("placement 1.15", path).headers
    wanted = {"params": {"required": "HW_CPU_X86_AVX2"}}
    assert at("placement 1.17", "/resource_providers", **wanted).status_code == 400
    assert at("placement 1.18", "/resource_providers", **wanted).status_code == 200


def test_a_provider_holds_inventories_traits_aggregates_and_allocations(placement: httpx.Client) -> None:
    provider = new(placement)
    path = f"/placement/resource_providers/{provider['uuid']}"
    body = {
        "resource_provider_generation": provider["generation"],
        "inventories": {"VCPU": {"total": 4, "allocation_ratio": 2.0}},
    }
    held = placement.put(f"{path}/inventories", json=body).json()
    assert held["inventories"]["VCPU"]["total"] == 4
    stale = placement.put(f"{path}/inventories", json=body)
    assert stale.status_code == 409
    assert stale.json()["errors"][0]["code"] == "placement.concurrent_update"
    generation = {"resource_provider_generation": held["resource_provider_generation"]}
    traits = placement.put(f"{path}/traits", json={**generation, "traits": ["HW_CPU_X86_AVX2"]}).json()
    assert placement.get(f"{path}/traits").json() == traits
    found = placement.get(
        "/placement/resource_providers", params={"resources": "VCPU:8", "required": "HW_CPU_X86_AVX2"}
    )
    assert provider["uuid"] in [each["uuid"] for each in found.json()["resource_providers"]]
    consumer, owner = str(uuid.uuid4()), str(uuid.uuid4())
    claim = {
        "allocations": {provider["uuid"]: {"resources": {"VCPU": 8}}},
        "project_id": owner,
        "user_id": owner,
        "consumer_generation": None,
        "consumer_type": "INSTANCE",
    }
    too_much = {**claim, "allocations": {provider["uuid"]: {"resources": {"VCPU": 9}}}}
    assert placement.put(f"/placement/allocations/{consumer}", json=too_much).status_code == 409
    assert placement.put(f"/placement/allocations/{consumer}", json=claim).status_code == 204
    assert placement.get(f"{path}/usages").json()["usages"] == {"VCPU": 8}
    shown = placement.get(f"/placement/allocations/{consumer}").json()
    assert shown["allocations"][provider["uuid"]]["resources"] == {"VCPU": 8}
    assert list(placement.get(f"{path}/allocations").json()["allocations"]) == [consumer]
    assert placement.delete(path).status_code == 409
    assert placement.delete(f"/placement/allocations/{consumer}").status_code == 204
    assert placement.delete(f"/placement/allocations/{consumer}").status_code == 404
    assert placement.delete(path).status_code == 204
    assert placement.get(path).status_code == 404


def test_a_trait_and_a_class_are_made_and_deleted(placement: httpx.Client) -> None:
    for kind, listed in (("traits", "traits"), ("resource_classes", "resource_classes")):
        name = f"CUSTOM_{uuid.uuid4().hex.upper()}"
        assert placement.put(f"/placement/{kind}/{name}").status_code == 201
        assert name in str(placement.get(f"/placement/{kind}").json()[listed])
        assert placement.delete(f"/placement/{kind}/{name}").status_code == 204
        assert name not in str(placement.get(f"/placement/{kind}").json()[listed])


def test_providers_are_not_for_ordinary_members(cloud: Cloud) -> None:
    with cloud.client() as client:
        client.headers["x-auth-token"] = cloud.member_of_a_new_project("placement-member")
        answer = client.get("/placement/resource_providers")
    assert answer.status_code == answer.json()["errors"][0]["status"] == 403


def test_inventories_are_set_one_by_one(placement: httpx.Client) -> None:
    path = f"/placement/resource_providers/{new(placement)['uuid']}/inventories"
    body = {"resource_provider_generation": 0, "resource_class": "VCPU", "total": 2}
    made = placement.post(path, json=body)
    assert made.status_code == 201, made.text
    assert made.headers["location"].endswith(f"{path}/VCPU")
    assert placement.post(path, json=body).status_code == 409
    shown = placement.get(f"{path}/VCPU").json()
    assert shown["total"] == 2
    stale = {"resource_provider_generation": 0, "total": 4}
    assert placement.put(f"{path}/VCPU", json=stale).status_code == 409
    current = {"resource_provider_generation": shown["resource_provider_generation"], "total": 4}
    assert placement.put(f"{path}/VCPU", json=current).json()["total"] == 4
    assert placement.delete(f"{path}/VCPU").status_code == 204
    assert placement.get(f"{path}/VCPU").status_code == 404


def test_candidates_have_room_and_many_allocations_are_set_at_once(placement: httpx.Client) -> None:
    provider, name = new(placement)["uuid"], f"CUSTOM_{uuid.uuid4().hex.upper()}"
    assert placement.put(f"/placement/resource_classes/{name}").status_code == 201
    assert placement.get(f"/placement/resource_classes/{name}").json()["name"] == name
    path = f"/placement/resource_providers/{provider}/inventories"
    body = {"resource_provider_generation": 0, "resource_class": name, "total": 4}
    assert placement.post(path, json=body).status_code == 201
    found = placement.get("/placement/allocation_candidates", params={"resources": f"{name}:3"}).json()
    assert found["allocation_requests"] == [
        {"allocations": {provider: {"resources": {name: 3}}}, "mappings": {"": [provider]}}
    ]
    assert found["provider_summaries"][provider]["resources"][name] == {"capacity": 4, "used": 0}
    none = placement.get("/placement/allocation_candidates", params={"resources": f"{name}:5"}).json()
    assert none["allocation_requests"] == []
    grouped = {"resources1": f"{name}:1", "group_policy": "none"}
    assert placement.get("/placement/allocation_candidates", params=grouped).status_code == 501
    assert placement.get("/placement/allocation_candidates").status_code == 400
    owner, consumers = str(uuid.uuid4()), [str(uuid.uuid4()) for _ in range(2)]
    common = {"project_id": owner, "user_id": owner, "consumer_generation": None, "consumer_type": "INSTANCE"}
    claims = {
        consumer: {**common, "allocations": {provider: {"resources": {name: 2}}}} for consumer in consumers
    }
    assert placement.post("/placement/allocations", json=claims).status_code == 204
    used = placement.get("/placement/usages", params={"project_id": owner}).json()
    assert used == {"usages": {"INSTANCE": {"consumer_count": 2, name: 4}}}
    more = {str(uuid.uuid4()): claims[consumers[0]]}
    assert placement.post("/placement/allocations", json=more).status_code == 409


def test_traits_are_asked_for_by_name(placement: httpx.Client) -> None:
    assert placement.get("/placement/traits/HW_CPU_X86_AVX2").status_code == 204
    assert placement.get("/placement/traits/HW_CPU_X86_AVX").status_code == 204
    assert placement.get("/placement/traits/CUSTOM_NONE_SUCH").status_code == 404


def test_resources_move_to_another_provider_along_with_what_has_them(placement: httpx.Client) -> None:
    """As where a host's disks become a provider of their own."""
    host, part = new(placement)["uuid"], new(placement)["uuid"]
    path = "/placement/resource_providers"
    body = {"resource_provider_generation": 0, "resource_class": "DISK_GB", "total": 8}
    assert placement.post(f"{path}/{host}/inventories", json=body).status_code == 201
    consumer, owner = str(uuid.uuid4()), str(uuid.uuid4())
    claim = {"project_id": owner, "user_id": owner, "consumer_generation": None, "consumer_type": "INSTANCE"}
    claim["allocations"] = {host: {"resources": {"DISK_GB": 6}}}
    assert placement.put(f"/placement/allocations/{consumer}", json=claim).status_code == 204
    moved = {**claim, "consumer_generation": 1, "allocations": {part: {"resources": {"DISK_GB": 6}}}}
    shapes = {
        host: {"resource_provider_generation": 2, "inventories": {}},
        part: {"resource_provider_generation": 0, "inventories": {"DISK_GB": {"total": 8}}},
    }
    stays = placement.post("/placement/reshaper", json={"inventories": shapes, "allocations": {}})
    assert stays.status_code == 409
    assert stays.json()["errors"][0]["code"] == "placement.inventory.inuse"
    shown = placement.get(f"{path}/{host}").json()
    assert shown["generation"] == 2, "nothing has changed"
    together = {"inventories": shapes, "allocations": {consumer: moved}}
    answer = placement.post("/placement/reshaper", json=together)
    assert answer.status_code == 204, answer.text
    assert placement.get(f"{path}/{host}/inventories").json()["inventories"] == {}
    assert placement.get(f"{path}/{part}/usages").json()["usages"] == {"DISK_GB": 6}


def test_a_provider_moves_in_its_tree_and_leaves_it(placement: httpx.Client) -> None:
    path = "/placement/resource_providers"
    top, below = new(placement), new(placement)
    place = f"{path}/{below['uuid']}"
    body = {"name": below["name"], "parent_provider_uuid": top["uuid"]}
    assert placement.put(place, json=body).json()["root_provider_uuid"] == top["uuid"]
    circle = {"name": top["name"], "parent_provider_uuid": below["uuid"]}
    assert placement.put(f"{path}/{top['uuid']}", json=circle).status_code == 400
    assert placement.delete(f"{path}/{top['uuid']}").status_code == 409
    old = {"openstack-api-version": "placement 1.36"}
    alone = {**body, "parent_provider_uuid": None}
    assert placement.put(place, json=alone, headers=old).status_code == 400
    assert placement.put(place, json=alone).json()["root_provider_uuid"] == below["uuid"]
