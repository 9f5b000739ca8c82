"""Block Storage v3 as Cinder's clients speak it, over the real services and a simulated host."""

import httpx

from tests.gateway.openstack.conftest import gone, until

PLACE = "/volume/v3/volumes"
NEW = {"openstack-api-version": "volume 3.67"}


def make(client: httpx.Client, **fields: object) -> dict:
    answer = client.post(PLACE, json={"volume": {"size": 1, **fields}})
    assert answer.status_code == 202, answer.text
    volume = answer.json()["volume"]
    return until(client, f"{PLACE}/{volume['id']}", "volume", lambda one: one["status"] == "available")


def test_versions_tell_what_is_answered(one: httpx.Client) -> None:
    root = one.get("/volume/")
    assert root.status_code == 300
    (version,) = one.get("/volume/v3/").json()["versions"]
    assert (version["id"], version["min_version"], version["version"]) == ("v3.0", "3.0", "3.67")
    assert root.json()["versions"] == [version]
    answer = one.get(PLACE, headers=NEW)
    assert answer.headers["openstack-api-version"] == "volume 3.67"
    assert one.get(PLACE, headers={"openstack-api-version": "volume 3.99"}).status_code == 406


def test_a_volume_is_made_changed_grown_and_deleted(one: httpx.Client) -> None:
    volume = make(one, name="disk", description="d", metadata={"a": "b"})
    place = f"{PLACE}/{volume['id']}"
    assert (volume["size"], volume["bootable"], volume["metadata"]) == (1, "false", {"a": "b"})
    assert (volume["attachments"], volume["availability_zone"]) == ([], "nova")
    assert "group_id" not in volume
    assert "group_id" in one.get(place, headers=NEW).json()["volume"]
    assert one.put(place, json={"volume": {"name": "disc"}}).json()["volume"]["name"] == "disc"
    assert one.post(f"{place}/action", json={"os-extend": {"new_size": 2}}).status_code == 202
    until(one, place, "volume", lambda found: (found["size"], found["status"]) == (2, "available"))
    assert one.post(f"{place}/action", json={"os-set_bootable": {"bootable": True}}).status_code == 200
    assert one.get(place).json()["volume"]["bootable"] == "true"
    assert one.delete(place).status_code == 202
    gone(one, place)


def test_metadata_is_kept_by_key(one: httpx.Client) -> None:
    place = f"{PLACE}/{make(one, metadata={'a': '1'})['id']}/metadata"
    assert one.post(place, json={"metadata": {"b": "2"}}).json() == {"metadata": {"a": "1", "b": "2"}}
    assert one.put(f"{place}/a", json={"meta": {"a": "3"}}).json() == {"meta": {"a": "3"}}
    assert one.get(f"{place}/a").json() == {"meta": {"a": "3"}}
    assert one.put(f"{place}/a", json={"meta": {"c": "3"}}).status_code == 400
    assert one.delete(f"{place}/a").status_code == 200
    assert one.delete(f"{place}/a").status_code == 404
    assert one.put(place, json={"metadata": {"z": "9"}}).json() == {"metadata": {"z": "9"}}
    assert one.post(place, json={"metadata": {"n": 1}}).status_code == 400


def test_lists_are_filtered_sorted_and_paged(one: httpx.Client) -> None:
    made = [make(one, name=name, metadata={"of": "listed"})["id"] for name in ("l-b", "l-a", "l-c")]
    query = {"metadata": "{'of': 'listed'}", "sort": "name:asc"}
    found = one.get(f"{PLACE}/detail", params=query).json()["volumes"]
    assert [each["name"] for each in found] == ["l-a", "l-b", "l-c"]
    newest = one.get(PLACE, params={"metadata": "{'of': 'listed'}"}).json()["volumes"]
    assert [each["id"] for each in newest] == made[::-1]
    assert set(newest[0]) == {"id", "name", "links"}
    seen, url = [], f"{PLACE}?sort=name:asc&limit=2&metadata=%7B%22of%22%3A%22listed%22%7D"
    while url:
        page = one.get(url).json()
        seen += [each["name"] for each in page["volumes"]]
        url = page["volumes_links"][0]["href"] if "volumes_links" in page else ""
    assert seen == ["l-a", "l-b", "l-c"]
    assert one.get(PLACE, params={"nonsense": "1"}).status_code == 400
    assert one.get(PLACE, params={"marker": "there is none"}).status_code == 404
    assert one.get(PLACE, params={"limit": "0"}).json() == {"volumes": []}


def test_a_snapshot_becomes_a_volume(one: httpx.Client) -> None:
    volume = make(one, name="source")
    nothing = {"snapshot": {"volume_id": None, "name": "s"}}
    assert one.post("/volume/v3/snapshots", json=nothing).status_code == 404
    answer = one.post("/volume/v3/snapshots", json={"snapshot": {"volume_id": volume["id"], "name": "s"}})
    assert answer.status_code == 202, answer.text
    place = f"/volume/v3/snapshots/{answer.json()['snapshot']['id']}"
    snapshot = until(one, place, "snapshot", lambda found: found["status"] == "available")
    assert (snapshot["volume_id"], snapshot["size"]) == (volume["id"], 1)
    # A volume with snapshots stays, which is the client's error.
    assert one.delete(f"{PLACE}/{volume['id']}").status_code == 400
    copy = make(one, snapshot_id=snapshot["id"])
    assert copy["snapshot_id"] == snapshot["id"]
    listed = one.get("/volume/v3/snapshots/detail", params={"volume_id": volume["id"]}).json()["snapshots"]
    assert [each["id"] for each in listed] == [snapshot["id"]]
    assert one.delete(place).status_code == 202
    gone(one, place)
    body = {"snapshot": {"volume_id": volume["id"], "name": "last"}}
    place = f"/volume/v3/snapshots/{one.post('/volume/v3/snapshots', json=body).json()['snapshot']['id']}"
    until(one, place, "snapshot", lambda found: found["status"] == "available")
    assert one.delete(f"{PLACE}/{volume['id']}", params={"cascade": "true"}).status_code == 202
    gone(one, f"{PLACE}/{volume['id']}")
    assert one.get(place).status_code == 404


def test_types_are_seen_by_all_and_made_by_administrators(one: httpx.Client, operator: httpx.Client) -> None:
    body = {"volume_type": {"name": "fast", "extra_specs": {"tier": "1"}}}
    assert one.post("/volume/v3/types", json=body).status_code == 403
    made = operator.post("/volume/v3/types", json=body).json()["volume_type"]
    place = f"/volume/v3/types/{made['id']}"
    assert one.get(place).json()["volume_type"]["extra_specs"] == {"tier": "1"}
    assert make(one, volume_type="fast")["volume_type"] == "fast"
    assert operator.put(f"{place}/extra_specs/tier", json={"tier": "2"}).json() == {"tier": "2"}
    more = {"extra_specs": {"x": "y"}}
    assert operator.post(f"{place}/extra_specs", json=more).json() == more
    assert operator.get(f"{place}/extra_specs").json() == {"extra_specs": {"tier": "2", "x": "y"}}
    assert operator.delete(f"{place}/extra_specs/x").status_code == 202
    assert one.put(f"{place}/extra_specs/tier", json={"tier": "3"}).status_code == 403
    assert one.get("/volume/v3/types/default").json()["volume_type"]["is_public"] is True
    assert one.post(PLACE, json={"volume": {"size": 1, "volume_type": "none such"}}).status_code == 404


def test_quotas_and_limits_count(one: httpx.Client, operator: httpx.Client, two: httpx.Client) -> None:
    volume = make(one, name="counted")
    project = volume["os-vol-tenant-attr:tenant_id"]
    absolute = one.get("/volume/v3/limits").json()["limits"]["absolute"]
    assert absolute["totalVolumesUsed"] >= 1
    place = f"/volume/v3/os-quota-sets/{project}"
    mine = one.get(place, params={"usage": "true"}).json()["quota_set"]
    assert mine["volumes"]["in_use"] == absolute["totalVolumesUsed"]
    assert operator.get(place, params={"usage": "true"}).json()["quota_set"] == mine
    assert two.get(place).status_code == 404
    assert one.put(place, json={"quota_set": {"volumes": 99}}).status_code == 403
    assert operator.put(place, json={"quota_set": {"volumes": 99}}).json()["quota_set"]["volumes"] == 99
    assert one.get(place).json()["quota_set"]["volumes"] == 99
    assert operator.put(place, json={"quota_set": {"stars": 1}}).status_code == 400


def test_operators_see_services_pools_and_every_project(one: httpx.Client, operator: httpx.Client) -> None:
    volume = make(one, name="of one")
    (service,) = operator.get("/volume/v3/os-services").json()["services"]
    assert (service["binary"], service["state"], service["status"]) == ("cinder-volume", "up", "enabled")
    assert one.get("/volume/v3/os-services").status_code == 403
    (pool,) = operator.get("/volume/v3/scheduler-stats/get_pools?detail=true").json()["pools"]
    assert pool["capabilities"]["total_capacity_gb"] > 0
    told = operator.get(f"/volume/v3/capabilities/{service['host']}").json()
    assert told["pool_name"] == pool["capabilities"]["pool_name"]
    (host,) = operator.get("/volume/v3/os-hosts").json()["hosts"]
    assert (host["host_name"], host["service-state"]) == (service["host"], "enabled")
    kept = operator.get(f"/volume/v3/os-hosts/{host['host_name']}").json()["host"][0]["resource"]
    assert int(kept["volume_count"]) >= 1
    for deed, status in (("disable", "disabled"), ("enable", "enabled")):
        answer = operator.put(f"/volume/v3/os-services/{deed}", json={"host": service["host"]})
        assert answer.json()["status"] == status
    assert operator.put("/volume/v3/os-services/freeze", json={"host": "none"}).status_code == 400
    assert operator.put("/volume/v3/os-services/freeze", json={"host": service["host"]}).status_code == 501
    every = operator.get(f"{PLACE}/detail?all_tenants=1").json()["volumes"]
    assert volume["id"] in {each["id"] for each in every}
    own = operator.get(f"{PLACE}/detail").json()["volumes"]
    assert volume["id"] not in {each["id"] for each in own}
    assert one.get("/volume/v3/os-availability-zone").json()["availabilityZoneInfo"][0]["zoneName"] == "nova"


def test_another_project_sees_and_changes_nothing(one: httpx.Client, two: httpx.Client) -> None:
    volume = make(one, name="secret")
    place = f"{PLACE}/{volume['id']}"
    assert one.get(place).status_code == 200
    assert two.get(place).status_code == 404
    assert two.delete(place).status_code == 404
    assert two.put(place, json={"volume": {"name": "mine"}}).status_code == 404
    assert two.post(f"{place}/metadata", json={"metadata": {"a": "b"}}).status_code == 404
    assert two.post(f"{place}/action", json={"os-extend": {"new_size": 5}}).status_code == 404
    body = {"snapshot": {"volume_id": volume["id"]}}
    assert two.post("/volume/v3/snapshots", json=body).status_code == 404
    everybody = two.get(f"{PLACE}?all_tenants=1").json()["volumes"]
    assert volume["id"] not in {each["id"] for each in everybody}
    assert one.get(place).json()["volume"]["name"] == "secret"


def test_the_project_may_stand_in_the_address(one: httpx.Client) -> None:
    volume = make(one)
    project = volume["os-vol-tenant-attr:tenant_id"]
    for name in (project, project.replace("-", "")):
        assert one.get(f"/volume/v3/{name}/volumes/{volume['id']}").json()["volume"]["id"] == volume["id"]


def test_what_is_not_there_is_refused(one: httpx.Client) -> None:
    place = f"{PLACE}/{make(one)['id']}"
    assert one.post(f"{place}/action", json={"os-reserve": {}}).status_code == 501
    assert one.post(f"{place}/action", json={"os-nonsense": {}}).status_code == 400
    assert one.post(PLACE, json={"volume": {"size": 1, "multiattach": True}}).status_code == 400
    assert one.post(PLACE, json={"volume": {"size": "much"}}).status_code == 400
    assert one.get("/volume/v3/backups").status_code == 404
    assert one.get("/volume/v3/attachments").status_code == 404
    assert one.get("/volume/v3/attachments", headers=NEW).json() == {"attachments": []}
    assert one.get(f"{PLACE}/not-a-uuid").json()["itemNotFound"]["code"] == 404
    assert one.get(PLACE, headers={"x-auth-token": "nonsense"}).status_code == 401
