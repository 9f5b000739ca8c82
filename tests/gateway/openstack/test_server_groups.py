"""Server groups as Nova's clients speak of them, over the real services and one simulated host."""

from collections.abc import Iterator

import httpx
import pytest

from tests.gateway.conftest import Cloud
from tests.gateway.openstack.conftest import gone, speaking
from tests.gateway.openstack.test_compute import SERVERS, at, flavor, parts, until_status

GROUPS = "/compute/v2.1/os-server-groups"
__all__ = ["flavor", "parts"]


@pytest.fixture(scope="module")
def one(cloud: Cloud) -> Iterator[httpx.Client]:
    """A user of a project of its own."""
    with speaking(cloud, cloud.member_of_a_new_project("openstack-groups")) as client:
        yield client


def made(client: httpx.Client, version: str = "2.1", **fields: object) -> dict:
    answer = client.post(GROUPS, json={"server_group": {"name": "g", **fields}}, headers=at(version))
    assert answer.status_code == 200, answer.text
    return answer.json()["server_group"]


def booted(client: httpx.Client, parts: dict[str, str], group: str, status: str) -> dict:
    body = {"name": "s", "imageRef": parts["imageRef"], "flavorRef": parts["flavorRef"], "networks": []}
    hints = {"os:scheduler_hints": {"group": group}}
    answer = client.post(SERVERS, json={"server": body, **hints})
    assert answer.status_code == 202, answer.text
    return until_status(client, f"{SERVERS}/{answer.json()['server']['id']}", status)


def test_servers_of_a_group_are_where_it_says(
    one: httpx.Client, two: httpx.Client, operator: httpx.Client, parts: dict[str, str]
) -> None:
    group = made(one, policies=["anti-affinity"])
    place = f"{GROUPS}/{group['id']}"
    assert (group["policies"], group["members"], group["metadata"]) == (["anti-affinity"], [], {})
    first = booted(one, parts, group["id"], "ACTIVE")
    second = booted(one, parts, group["id"], "ERROR")  # of the one host that there is it has had its share
    assert "server_group 1" in second["fault"]["message"]
    ids = [first["id"], second["id"]]
    assert one.get(place).json()["server_group"]["members"] == ids
    shown = one.get(f"{SERVERS}/{first['id']}", headers=at("2.71")).json()["server"]
    assert shown["server_groups"] == [group["id"]]
    assert two.get(place).status_code == 404
    assert two.delete(place).status_code == 404
    assert two.get(GROUPS).json()["server_groups"] == []
    theirs = {"server": {"name": "s", "imageRef": parts["imageRef"], "flavorRef": parts["flavorRef"]}}
    theirs |= {"os:scheduler_hints": {"group": group["id"]}}
    assert two.post(SERVERS, json=theirs).status_code in (400, 404)
    everybodys = operator.get(f"{GROUPS}?all_projects=True").json()["server_groups"]
    assert group["id"] in [each["id"] for each in everybodys]
    assert one.delete(place).status_code == 204
    assert one.get(place).status_code == 404
    assert one.get(f"{SERVERS}/{first['id']}", headers=at("2.71")).json()["server"]["server_groups"] == []
    for id in ids:
        assert one.delete(f"{SERVERS}/{id}").status_code == 204
        gone(one, f"{SERVERS}/{id}")


def test_a_server_is_made_beside_another_or_apart(one: httpx.Client, parts: dict[str, str]) -> None:
    body = {"name": "s", "imageRef": parts["imageRef"], "flavorRef": parts["flavorRef"], "networks": []}

    def made(status: str, **hints: object) -> dict:
        answer = one.post(SERVERS, json={"server": body, "os:scheduler_hints": hints})
        assert answer.status_code == 202, answer.text
        return until_status(one, f"{SERVERS}/{answer.json()['server']['id']}", status)

    first = made("ACTIVE")
    beside, listed = made("ACTIVE", same_host=first["id"]), made("ACTIVE", same_host=[first["id"]])
    apart = made("ERROR", different_host=[first["id"]])  # there is no other host
    assert "different_host 1" in apart["fault"]["message"]
    unknown = {"server": body, "os:scheduler_hints": {"same_host": parts["net"]}}
    assert one.post(SERVERS, json=unknown).status_code == 400
    for each in (first, beside, listed, apart):
        assert one.delete(f"{SERVERS}/{each['id']}").status_code == 204
        gone(one, f"{SERVERS}/{each['id']}")


def test_each_version_says_policies_its_own_way(one: httpx.Client) -> None:
    old, new = made(one, "2.15", policies=["soft-affinity"]), made(one, "2.64", policy="anti-affinity")
    assert {"project_id", "user_id", "policies", "metadata"} <= old.keys()
    assert (new["policy"], new["rules"]) == ("anti-affinity", {"max_server_per_host": 1})
    assert not {"policies", "metadata"} & new.keys()
    two_each = made(one, "2.64", policy="anti-affinity", rules={"max_server_per_host": 2})
    assert two_each["rules"] == {"max_server_per_host": 2}
    page = one.get(f"{GROUPS}?limit=1&offset=1", headers=at("2.64")).json()["server_groups"]
    assert page == [new]
    for version, wish in (
        ("2.1", {"policies": ["soft-affinity"]}),
        ("2.1", {"policies": ["affinity", "anti-affinity"]}),
        ("2.1", {"policies": []}),
        ("2.1", {"policy": "affinity"}),
        ("2.64", {"policies": ["affinity"]}),
        ("2.64", {"policy": "nearby"}),
        ("2.64", {"policy": "affinity", "rules": {"max_server_per_host": 2}}),
        ("2.64", {"policy": "anti-affinity", "rules": {"max_server_per_host": 0}}),
    ):
        body = {"server_group": {"name": "g", **wish}}
        assert one.post(GROUPS, json=body, headers=at(version)).status_code == 400, (version, wish)
    for each in (old, new, two_each):
        assert one.delete(f"{GROUPS}/{each['id']}").status_code == 204
