"""Volumes go from one project to another, as Cinder's clients have them go."""

import httpx
import pytest

from tests.gateway.openstack.conftest import gone
from tests.gateway.openstack.test_volume import PLACE, make

FIRST, SECOND = "/volume/v3/os-volume-transfer", "/volume/v3/volume-transfers"


@pytest.mark.parametrize(("place", "version"), [(FIRST, "3.0"), (SECOND, "3.57")])
def test_a_volume_is_anothers_once_it_is_accepted(
    one: httpx.Client, two: httpx.Client, place: str, version: str
) -> None:
    at = {"openstack-api-version": f"volume {version}"}
    volume = make(one, name="given away")
    of_volume = f"{PLACE}/{volume['id']}"
    assert two.post(place, json={"transfer": {"volume_id": volume["id"]}}, headers=at).status_code == 404
    answer = one.post(place, json={"transfer": {"volume_id": volume["id"], "name": "t"}}, headers=at)
    assert answer.status_code == 202, answer.text
    offer = answer.json()["transfer"]
    assert one.get(of_volume).json()["volume"]["status"] == "awaiting-transfer"
    shown = one.get(f"{place}/{offer['id']}", headers=at).json()["transfer"]
    assert (shown["volume_id"], "auth_key" in shown) == (volume["id"], False)
    assert ("source_project_id" in shown) is (version == "3.57")
    assert two.get(f"{place}/{offer['id']}", headers=at).status_code == 404
    assert two.get(place, headers=at).json()["transfers"] == []
    acceptance = f"{place}/{offer['id']}/accept"
    wrong = two.post(acceptance, json={"accept": {"auth_key": "guess"}}, headers=at)
    nothing = two.post(f"{place}/{volume['id']}/accept", json={"accept": {"auth_key": "x"}}, headers=at)
    assert (wrong.status_code, nothing.status_code) == (404, 404)
    assert one.delete(of_volume).status_code == 400
    right = {"accept": {"auth_key": offer["auth_key"]}}
    accepted = two.post(acceptance, json=right, headers=at)
    assert (accepted.status_code, accepted.json()["transfer"]["volume_id"]) == (202, volume["id"])
    assert one.get(of_volume).status_code == 404
    got = two.get(of_volume).json()["volume"]
    assert (got["status"], got["name"]) == ("available", "given away")
    assert got["os-vol-tenant-attr:tenant_id"] != volume["os-vol-tenant-attr:tenant_id"]
    assert one.get(f"{place}/{offer['id']}", headers=at).status_code == 404
    assert two.delete(of_volume).status_code == 202
    gone(two, of_volume)


def test_an_offer_is_taken_back(one: httpx.Client, two: httpx.Client) -> None:
    volume = make(one)
    offer = one.post(FIRST, json={"transfer": {"volume_id": volume["id"]}}).json()["transfer"]
    assert offer["id"] in [each["id"] for each in one.get(f"{FIRST}/detail").json()["transfers"]]
    assert two.delete(f"{FIRST}/{offer['id']}").status_code == 404
    assert one.delete(f"{FIRST}/{offer['id']}").status_code == 202
    right = {"accept": {"auth_key": offer["auth_key"]}}
    assert two.post(f"{FIRST}/{offer['id']}/accept", json=right).status_code == 404
    assert one.get(f"{PLACE}/{volume['id']}").json()["volume"]["status"] == "available"
    assert one.get(SECOND).status_code == 404
    some = {"transfer": {"volume_id": volume["id"], "no_snapshots": True}}
    assert one.post(FIRST, json=some).status_code == 400
    newer = {"openstack-api-version": "volume 3.55"}
    assert one.post(SECOND, json=some, headers=newer).status_code == 501
    assert one.delete(f"{PLACE}/{volume['id']}").status_code == 202
