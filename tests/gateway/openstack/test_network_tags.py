"""Tags of Neutron's resources, over the real services."""

import uuid

import httpx
import pytest

from tests.gateway.openstack.test_network import make

NETWORKS = "/network/v2.0/networks"


@pytest.mark.parametrize(
    ("noun", "nouns"), [("network", "networks"), ("router", "routers"), ("security_group", "security-groups")]
)
def test_tags_are_set_all_and_one_by_one(one: httpx.Client, two: httpx.Client, noun: str, nouns: str) -> None:
    id = make(one, noun, nouns, name=f"tagged-{uuid.uuid4()}")["id"]
    place = f"/network/v2.0/{nouns}/{id}"
    assert one.put(f"{place}/tags", json={"tags": ["red", "blue"]}).json() == {"tags": ["red", "blue"]}
    assert one.put(f"{place}/tags/green").status_code == 201
    assert one.get(place).json()[noun]["tags"] == ["red", "blue", "green"]
    assert one.get(f"{place}/tags/green").status_code == 204
    assert one.delete(f"{place}/tags/green").status_code == 204
    assert one.get(f"{place}/tags/green").status_code == one.delete(f"{place}/tags/green").status_code == 404
    assert one.get(f"{place}/tags").json() == {"tags": ["red", "blue"]}
    assert two.put(f"{place}/tags", json={"tags": []}).status_code == 404
    assert one.put(f"{place}/tags", json={"tags": [1]}).status_code == 400
    assert one.delete(f"{place}/tags").status_code == 204
    assert one.get(f"{place}/tags").json() == {"tags": []}
    assert one.delete(place).status_code == 204


def test_networks_are_found_by_the_tags_that_they_have_and_have_not(one: httpx.Client) -> None:
    name = f"tagged-{uuid.uuid4()}"
    made = [make(one, "network", "networks", name=name)["id"] for _ in range(3)]
    for id, tags in zip(made, (["red"], ["red", "blue"], []), strict=True):
        one.put(f"{NETWORKS}/{id}/tags", json={"tags": tags})
    for asked, found in (
        ({"tags": "red,blue"}, made[1:2]),
        ({"tags-any": "red,blue"}, made[:2]),
        ({"not-tags": "red,blue"}, [made[0], made[2]]),
        ({"not-tags-any": "red,blue"}, made[2:]),
    ):
        listed = one.get(NETWORKS, params={"name": name, **asked}).json()["networks"]
        assert [each["id"] for each in listed] == found
    for id in made:
        assert one.delete(f"{NETWORKS}/{id}").status_code == 204
