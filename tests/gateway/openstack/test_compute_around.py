"""Compute v2.1: what is around servers: flavors, key pairs, quotas, hypervisors, services."""

import httpx

from tests.gateway.conftest import Cloud
from tests.gateway.openstack.conftest import speaking

FLAVORS = "/compute/v2.1/flavors"


def at(version: str) -> dict[str, str]:
    return {"x-openstack-nova-api-version": version}


def test_flavors_are_seen_by_all_and_made_by_administrators(
    one: httpx.Client, operator: httpx.Client
) -> None:
    body = {"flavor": {"name": "around", "ram": 128, "vcpus": 2, "disk": 3}}
    assert one.post(FLAVORS, json=body).status_code == 403
    made = operator.post(FLAVORS, json=body).json()["flavor"]
    place = f"{FLAVORS}/{made['id']}"
    shown = one.get(place).json()["flavor"]
    assert (shown["ram"], shown["vcpus"], shown["disk"], shown["swap"]) == (128, 2, 3, "")
    assert "description" not in shown
    assert one.get(place, headers=at("2.75")).json()["flavor"]["swap"] == 0
    specs = f"{place}/os-extra_specs"
    answer = operator.post(specs, json={"extra_specs": {"trait:COMPUTE_FAST": "required"}})
    assert answer.json() == {"extra_specs": {"trait:COMPUTE_FAST": "required"}}
    assert one.get(specs).json() == answer.json()
    assert one.delete(f"{specs}/trait:COMPUTE_FAST").status_code == 403
    assert operator.delete(f"{specs}/trait:COMPUTE_FAST").status_code == 200
    assert one.get(FLAVORS, params={"minRam": "1000000"}).json() == {"flavors": []}
    assert made["id"] in {each["id"] for each in one.get(f"{FLAVORS}/detail").json()["flavors"]}
    swap = {"flavor": {"name": "swapping", "ram": 1, "vcpus": 1, "disk": 1, "swap": 512}}
    assert operator.post(FLAVORS, json=swap).status_code == 501
    assert operator.delete(place).status_code == 202
    assert one.get(place).status_code == 404


def test_who_sees_a_private_flavor_is_listed_and_changed(one: httpx.Client, operator: httpx.Client) -> None:
    body = {"name": "hidden", "ram": 1, "vcpus": 1, "disk": 1, "os-flavor-access:is_public": "False"}
    place = f"{FLAVORS}/{operator.post(FLAVORS, json={'flavor': body}).json()['flavor']['id']}"
    project = one.get("/identity/v3/auth/projects").json()["projects"][0]["id"]
    assert one.get(place).status_code == 404
    specs = operator.post(f"{place}/os-extra_specs", json={"extra_specs": {"a": "b"}}).json()
    assert operator.get(f"{place}/os-extra_specs").json() == specs
    assert operator.get(f"{place}/os-extra_specs/a").json() == {"a": "b"}
    assert one.get(f"{place}/os-extra_specs").status_code == 404
    add, remove = ({deed: {"tenant": project}} for deed in ("addTenantAccess", "removeTenantAccess"))
    seen = operator.post(f"{place}/action", json=add).json()["flavor_access"]
    assert [each["tenant_id"] for each in seen] == [project]
    assert operator.post(f"{place}/action", json=add).status_code == 409
    assert one.get(place).status_code == 200
    assert one.get(f"{place}/os-flavor-access").status_code == 403
    assert operator.post(f"{place}/action", json=remove).json() == {"flavor_access": []}
    assert operator.post(f"{place}/action", json=remove).status_code == 404
    assert operator.delete(place).status_code == 202


def test_key_pairs_are_made_and_their_secret_shown_once(one: httpx.Client, two: httpx.Client) -> None:
    place = "/compute/v2.1/os-keypairs"
    made = one.post(place, json={"keypair": {"name": "k"}})
    assert made.status_code == 200
    assert "PRIVATE KEY" in made.json()["keypair"]["private_key"]
    shown = one.get(f"{place}/k").json()["keypair"]
    assert "private_key" not in shown
    assert isinstance(shown["id"], int)
    assert "type" not in shown
    assert one.get(place, headers=at("2.2")).json()["keypairs"][0]["keypair"]["type"] == "ssh"
    public = {"keypair": {"name": "k2", "public_key": shown["public_key"], "type": "ssh"}}
    assert one.post(place, json=public).status_code == 400
    assert one.post(place, json=public, headers=at("2.2")).status_code == 201
    assert one.post(place, json={"keypair": {"name": "k3"}}, headers=at("2.92")).status_code == 400
    assert one.post(place, json={"keypair": {"name": "k"}}).status_code == 409
    assert two.get(f"{place}/k").status_code == 404
    assert one.delete(f"{place}/k").status_code == 202
    assert one.delete(f"{place}/k2", headers=at("2.2")).status_code == 204


def test_quotas_are_set_by_administrators(
    one: httpx.Client, operator: httpx.Client, two: httpx.Client
) -> None:
    limits = one.get("/compute/v2.1/limits").json()["limits"]["absolute"]
    assert limits["maxTotalInstances"] > 0
    project = one.get("/identity/v3/auth/projects").json()["projects"][0]["id"]
    place = f"/compute/v2.1/os-quota-sets/{project}"
    assert one.get(place).json()["quota_set"]["instances"] == limits["maxTotalInstances"]
    assert two.get(place).status_code == 404
    assert one.put(place, json={"quota_set": {"cores": 99}}).status_code == 403
    assert operator.put(place, json={"quota_set": {"cores": 99}}).json()["quota_set"]["cores"] == 99
    detail = operator.get(f"{place}/detail").json()["quota_set"]["cores"]
    assert (detail["limit"], detail["reserved"]) == (99, 0)
    default = operator.get(f"{place}/defaults").json()["quota_set"]["cores"]
    assert default != 99
    classes = "/compute/v2.1/os-quota-class-sets/default"
    assert operator.get(classes).json()["quota_class_set"]["cores"] == default
    assert one.delete(place).status_code == 403
    assert operator.delete(place).status_code == 202
    assert one.get(place).json()["quota_set"]["cores"] == default


def test_operators_see_hypervisors_services_and_zones(one: httpx.Client, operator: httpx.Client) -> None:
    (hypervisor,) = operator.get("/compute/v2.1/os-hypervisors/detail").json()["hypervisors"]
    assert (hypervisor["state"], hypervisor["status"]) == ("up", "enabled")
    assert hypervisor["vcpus"] > 0
    place = f"/compute/v2.1/os-hypervisors/{hypervisor['id']}"
    assert operator.get(place).json()["hypervisor"]["vcpus"] == hypervisor["vcpus"]
    newest = operator.get("/compute/v2.1/os-hypervisors", headers=at("2.88")).json()["hypervisors"][0]["id"]
    place = f"/compute/v2.1/os-hypervisors/{newest}"
    assert "vcpus" not in operator.get(place, headers=at("2.88")).json()["hypervisor"]
    found = f"/compute/v2.1/os-hypervisors/{hypervisor['hypervisor_hostname']}/search"
    assert operator.get(found).json()["hypervisors"][0]["id"] == hypervisor["id"]
    assert operator.get(found, headers=at("2.53")).status_code == 404
    (service,) = operator.get("/compute/v2.1/os-services").json()["services"]
    assert (service["binary"], service["host"]) == ("nova-compute", hypervisor["hypervisor_hostname"])
    old = {"host": service["host"], "binary": "nova-compute"}
    for deed, status in (("disable", "disabled"), ("enable", "enabled")):
        answer = operator.put(f"/compute/v2.1/os-services/{deed}", json=old).json()["service"]
        assert answer == {**old, "status": status}
    change = f"/compute/v2.1/os-services/{newest}"
    body = {"status": "disabled", "disabled_reason": "repair"}
    assert one.put(change, json=body, headers=at("2.53")).status_code == 403
    changed = operator.put(change, json=body, headers=at("2.53")).json()["service"]
    assert (changed["status"], changed["disabled_reason"]) == ("disabled", "repair")
    assert operator.put(change, json={"status": "enabled"}, headers=at("2.53")).status_code == 200
    assert (
        operator.get("/compute/v2.1/os-hypervisors/statistics").json()["hypervisor_statistics"]["count"] == 1
    )
    zones = operator.get("/compute/v2.1/os-availability-zone/detail").json()["availabilityZoneInfo"]
    assert [zone["zoneName"] for zone in zones] == ["nova"]
    for path in ("os-hypervisors", "os-services", "os-availability-zone/detail"):
        assert one.get(f"/compute/v2.1/{path}").status_code == 403
    assert one.get("/compute/v2.1/os-availability-zone").status_code == 200


def test_security_groups_are_passed_on_until_neutron_is_asked(
    one: httpx.Client, two: httpx.Client, operator: httpx.Client
) -> None:
    place, rules = "/compute/v2.1/os-security-groups", "/compute/v2.1/os-security-group-rules"
    body = {"security_group": {"name": "old", "description": "way"}}
    group = one.post(place, json=body).json()["security_group"]
    assert (group["name"], group["description"], group["rules"]) == ("old", "way", [])
    rule = {"parent_group_id": group["id"], "ip_protocol": "tcp", "from_port": 80, "to_port": 81}
    made = one.post(rules, json={"security_group_rule": {**rule, "cidr": "10.0.0.0/8"}})
    assert made.status_code == 200, made.text
    assert made.json()["security_group_rule"]["ip_range"] == {"cidr": "10.0.0.0/8"}
    shown = one.get(f"{place}/{group['id']}").json()["security_group"]["rules"]
    assert [(each["from_port"], each["to_port"]) for each in shown] == [(80, 81)]
    assert two.get(f"{place}/{group['id']}").status_code == 404
    for client, seen in ((one, True), (two, False), (operator, True)):
        found = client.get(f"{place}?all_tenants=true").json()["security_groups"]
        assert (group["id"] in [each["id"] for each in found]) is seen
    assert one.get(place, headers=at("2.36")).status_code == 404
    assert one.delete(f"{rules}/{shown[0]['id']}").status_code == 202
    assert one.delete(f"{place}/{group['id']}").status_code == 202


def test_no_host_is_said_to_have_audited_its_use(one: httpx.Client, operator: httpx.Client) -> None:
    place = "/compute/v2.1/os-instance_usage_audit_log"
    told = operator.get(f"{place}/2026-03-15%2012:30:00").json()["instance_usage_audit_log"]
    names = [each["host"] for each in operator.get("/compute/v2.1/os-services").json()["services"]]
    assert (told["hosts_not_run"], told["num_hosts_done"], told["log"]) == (sorted(names), 0, {})
    period = "2026-02-01 00:00:00", "2026-03-01 00:00:00"
    assert (told["period_beginning"], told["period_ending"]) == period
    assert operator.get(f"{place}/never").status_code == 400
    assert one.get(place).status_code == 403
    assert one.get(f"{place}/2026-03-15").status_code == 403


def test_the_first_domain_is_found_by_the_id_that_keystone_gives_it(one: httpx.Client) -> None:
    assert one.get("/identity/v3/domains/default").json()["domain"]["name"] == "Default"


def test_who_administers_a_project_alone_does_not_administer_the_cloud(
    cloud: Cloud, operator: httpx.Client
) -> None:
    """The exchange of a project's token for the system's gives what its user has, and no more."""
    with speaking(cloud, cloud.member_of_a_new_project("own-boss")) as boss:
        project = boss.get("/identity/v3/auth/projects").json()["projects"][0]["id"]
        user = operator.get("/identity/v3/users", params={"name": "own-boss"}).json()["users"][0]["id"]
        role = operator.get("/identity/v3/roles", params={"name": "admin"}).json()["roles"][0]["id"]
        grant = f"/identity/v3/projects/{project}/users/{user}/roles/{role}"
        assert operator.put(grant).status_code == 204
    with speaking(cloud, cloud.login("own-boss", "password of own-boss", project_id=project)) as boss:
        assert boss.get(f"/compute/v2.1/os-quota-sets/{project}").status_code == 200
        body = {"flavor": {"name": "bossy", "ram": 1, "vcpus": 1, "disk": 1}}
        assert boss.post(FLAVORS, json=body).status_code == 403
        assert boss.get("/compute/v2.1/os-hypervisors").status_code == 403
        more = {"quota_set": {"volumes": 9}}
        assert boss.put(f"/volume/v3/os-quota-sets/{project}", json=more).status_code == 403
        assert boss.get("/placement/resource_providers").status_code == 403
