"""Identity v3 as Keystone's clients speak it, over the real services."""

import time
import uuid

import httpx
import pytest

from tests.gateway.conftest import Cloud

NOBODY = "00000000-0000-4000-8000-000000000000"
SYSTEM = {"system": {"all": True}}
OWN = {"project": {"name": "admin", "domain": {"id": "default"}}}


def auth(name: str, password: str, scope: object = None) -> dict:
    user = {"name": name, "password": password, "domain": {"name": "Default"}}
    document: dict = {"identity": {"methods": ["password"], "password": {"user": user}}}
    return {"auth": {**document, "scope": scope} if scope else document}


@pytest.fixture(scope="module")
def keystone(cloud: Cloud):
    """Calls with a token of the system's administrator."""
    with cloud.client() as client:
        answer = client.post("/identity/v3/auth/tokens", json=auth("admin", cloud.password, SYSTEM))
        client.headers["x-auth-token"] = answer.headers["x-subject-token"]
        yield client


@pytest.fixture
def name() -> str:
    return f"thing-{uuid.uuid4()}"


def test_the_versions_lead_from_the_root_to_version_three(cloud: Cloud) -> None:
    with cloud.client() as client:
        for path in ("/identity", "/identity/"):
            choice = client.get(path)
            assert choice.status_code == 300
            (version,) = choice.json()["versions"]["values"]
        assert version["links"] == [{"rel": "self", "href": f"{cloud.url}/identity/v3/"}]
        assert client.get(version["links"][0]["href"]).json()["version"] == version


def test_a_token_says_for_whom_and_what_it_is_and_where_the_services_are(cloud: Cloud) -> None:
    with cloud.client() as client:
        answer = client.post("/identity/v3/auth/tokens", json=auth("admin", cloud.password, OWN))
    assert answer.status_code == 201
    assert answer.headers["x-subject-token"]
    assert answer.headers["x-openstack-request-id"].startswith("req-")
    token = answer.json()["token"]
    assert token["user"]["name"] == token["project"]["name"] == "admin"
    assert token["project"]["domain"] == token["user"]["domain"]
    assert "admin" in [role["name"] for role in token["roles"]]
    urls = {each["type"]: each["endpoints"][0]["url"] for each in token["catalog"]}
    assert urls["identity"] == f"{cloud.url}/identity"
    assert {"compute", "image", "network", "placement", "volumev3"} <= set(urls)


def test_a_token_is_scoped_anew_validated_and_revoked(cloud: Cloud) -> None:
    with cloud.client() as client:
        first = client.post("/identity/v3/auth/tokens", json=auth("admin", cloud.password, "unscoped"))
        assert "catalog" not in first.json()["token"]
        identity = {"methods": ["token"], "token": {"id": first.headers["x-subject-token"]}}
        second = client.post("/identity/v3/auth/tokens", json={"auth": {"identity": identity, "scope": OWN}})
        assert second.json()["token"]["project"]["name"] == "admin"
        token = second.headers["x-subject-token"]
        client.headers["x-auth-token"] = first.headers["x-subject-token"]
        named = {"x-subject-token": token}
        assert client.head("/identity/v3/auth/tokens", headers=named).status_code == 200
        shown = client.get("/identity/v3/auth/tokens", headers=named).json()["token"]
        assert shown["audit_ids"] == second.json()["token"]["audit_ids"]
        assert client.delete("/identity/v3/auth/tokens", headers=named).status_code == 204
        for _ in range(50):
            gone = client.get("/identity/v3/auth/tokens", headers=named)
            if gone.status_code == 404:
                break
            time.sleep(0.1)
        assert gone.json()["error"]["code"] == 404


def test_a_wrong_password_and_a_missing_token_are_refused_in_keystones_words(cloud: Cloud) -> None:
    with cloud.client() as client:
        wrong = client.post("/identity/v3/auth/tokens", json=auth("nobody-at-all", "wrong"))
        none = client.get("/identity/v3/projects")
    for answer in (wrong, none):
        assert answer.status_code == 401
        assert answer.json()["error"]["title"] == "Unauthorized"
        assert answer.headers["www-authenticate"] == f'Keystone uri="{cloud.url}/identity"'


def test_a_project_and_a_user_are_made_changed_joined_and_deleted(keystone: httpx.Client, name: str) -> None:
    made = keystone.post("/identity/v3/projects", json={"project": {"name": name, "tags": ["a"]}})
    assert made.status_code == 201
    project = made.json()["project"]
    assert keystone.get(project["links"]["self"]).json()["project"] == project
    user = keystone.post(
        "/identity/v3/users", json={"user": {"name": name, "password": f"the password of {name}"}}
    ).json()["user"]
    assert "password" not in user
    changed = keystone.patch(f"/identity/v3/users/{user['id']}", json={"user": {"email": "a@b"}})
    assert changed.json()["user"]["email"] == "a@b"
    (role,) = keystone.get("/identity/v3/roles", params={"name": "member"}).json()["roles"]
    grant = f"/identity/v3/projects/{project['id']}/users/{user['id']}/roles/{role['id']}"
    assert keystone.head(grant).status_code == 404
    assert keystone.put(grant).status_code == 204
    assert keystone.head(grant).status_code == 204
    listed = keystone.get(
        "/identity/v3/role_assignments", params={"user.id": user["id"], "include_names": "true"}
    )
    (assignment,) = listed.json()["role_assignments"]
    assert assignment["role"]["name"] == "member"
    assert assignment["scope"]["project"]["name"] == name
    assert keystone.delete(grant).status_code == 204
    assert keystone.delete(f"/identity/v3/users/{user['id']}").status_code == 204
    assert keystone.delete(f"/identity/v3/projects/{project['id']}").status_code == 204
    assert keystone.get(project["links"]["self"]).json()["error"]["code"] == 404


def test_a_member_sees_the_own_projects_and_nothing_of_others(cloud: Cloud, name: str) -> None:
    with cloud.client() as client:
        client.headers["x-auth-token"] = cloud.member_of_a_new_project(name)
        assert [each["name"] for each in client.get("/identity/v3/auth/projects").json()["projects"]] == [
            name
        ]
        assert client.get("/identity/v3/projects").status_code == 403
        assert client.get("/identity/v3/users").json()["error"]["title"] == "Forbidden"


def test_domains_are_named_as_keystone_does_and_names_are_as_short_as_its_own(
    operator: httpx.Client, name: str
) -> None:
    default = operator.get("/identity/v3/domains/default").json()["domain"]["id"]
    for kind in ("project", "user", "group"):
        place = f"/identity/v3/{kind}s"
        body = {"name": name, "domain_id": "default"}
        made = operator.post(place, json={kind: body}).json()[kind]
        assert made["domain_id"] == default
        listed = operator.get(place, params=body).json()[f"{kind}s"]
        assert [each["id"] for each in listed] == [made["id"]]
        assert operator.delete(f"{place}/{made['id']}").status_code == 204
        nowhere = {kind: body | {"domain_id": uuid.uuid4().hex}}
        assert operator.post(place, json=nowhere).status_code == 404
    for kind in ("project", "domain"):
        place = f"/identity/v3/{kind}s"
        assert operator.post(place, json={kind: {"name": "n" * 65}}).status_code == 400
        made = operator.post(place, json={kind: {"name": name.ljust(64, "n"), "enabled": False}}).json()[kind]
        mine = f"{place}/{made['id']}"
        assert operator.patch(mine, json={kind: {"name": "n" * 65}}).status_code == 400
        assert operator.delete(mine).status_code == 204


def test_one_finds_the_domains_that_one_may_log_in_to(
    cloud: Cloud, keystone: httpx.Client, name: str
) -> None:
    domain = keystone.post("/identity/v3/domains", json={"domain": {"name": name}}).json()["domain"]
    with cloud.client() as client:
        client.headers["x-auth-token"] = cloud.member_of_a_new_project(name)
        own = client.get("/identity/v3/auth/domains").json()["domains"]
        subject = {"x-subject-token": client.headers["x-auth-token"]}
        token = client.get("/identity/v3/auth/tokens", headers=subject).json()["token"]
        (role,) = keystone.get("/identity/v3/roles", params={"name": "reader"}).json()["roles"]
        place = f"/identity/v3/domains/{domain['id']}/users/{token['user']['id']}/roles/{role['id']}"
        assert keystone.put(place).status_code == 204
        assert client.get("/identity/v3/auth/domains").json()["domains"] == [*own, domain]


def test_services_regions_and_endpoints_agree_with_the_catalogue(keystone: httpx.Client) -> None:
    services = {each["id"]: each for each in keystone.get("/identity/v3/services").json()["services"]}
    for endpoint in keystone.get("/identity/v3/endpoints").json()["endpoints"]:
        assert keystone.get(endpoint["links"]["self"]).json()["endpoint"] == endpoint
        assert endpoint["service_id"] in services
    (image,) = (each for each in services.values() if each["type"] == "image")
    body = {"interface": "public", "region": "Elsewhere", "url": "http://x/", "service_id": image["id"]}
    body |= {"enabled": False}
    made = keystone.post("/identity/v3/endpoints", json={"endpoint": body}).json()["endpoint"]
    assert not made["enabled"]
    elsewhere = keystone.get("/identity/v3/regions/Elsewhere").json()["region"]
    assert keystone.delete(elsewhere["links"]["self"]).status_code == 409
    moved = keystone.patch(made["links"]["self"], json={"endpoint": {"region_id": "Nowhere"}}).json()
    assert moved["endpoint"]["region"] == moved["endpoint"]["region_id"] == "Nowhere"
    assert keystone.delete(made["links"]["self"]).status_code == 204
    for region in ("Elsewhere", "Nowhere"):
        assert keystone.delete(f"/identity/v3/regions/{region}").status_code == 204
        assert keystone.get(f"/identity/v3/regions/{region}").status_code == 404


def test_services_and_regions_are_made_changed_and_deleted(keystone: httpx.Client, name: str) -> None:
    body = {"type": "dns", "name": name, "description": "names", "enabled": True}
    service = keystone.post("/identity/v3/services", json={"service": body}).json()["service"]
    assert {key: service[key] for key in body} == body
    again = keystone.patch(service["links"]["self"], json={"service": {"enabled": False}}).json()["service"]
    assert again == {**service, "enabled": False}
    (listed,) = keystone.get("/identity/v3/services", params={"name": name}).json()["services"]
    assert listed == again
    assert keystone.delete(service["links"]["self"]).status_code == 204
    assert keystone.get(service["links"]["self"]).status_code == 404
    above = keystone.post("/identity/v3/regions", json={"region": {"id": f"{name}-a"}}).json()["region"]
    said = {"region": {"description": "in it", "parent_region_id": above["id"]}}
    below = keystone.put(f"/identity/v3/regions/{name}-b", json=said).json()["region"]
    assert (below["id"], below["parent_region_id"]) == (f"{name}-b", above["id"])
    assert keystone.delete(above["links"]["self"]).status_code == 409
    out = keystone.patch(below["links"]["self"], json={"region": {"parent_region_id": None}})
    assert out.json()["region"] == {**below, "parent_region_id": None}
    for region in (above, below):
        assert keystone.delete(region["links"]["self"]).status_code == 204


def test_a_policy_is_a_document_of_administrators(keystone: httpx.Client, one: httpx.Client) -> None:
    place = "/identity/v3/policies"
    body = {"policy": {"type": "text/plain", "blob": "allow"}}
    made = keystone.post(place, json=body).json()["policy"]
    mine = f"{place}/{made['id']}"
    changed = keystone.patch(mine, json={"policy": {"type": "text/x"}}).json()["policy"]
    assert changed == made | {"type": "text/x"}
    assert keystone.get(place, params={"type": "text/x"}).json()["policies"] == [changed]
    for answer in (one.get(mine), one.get(place), one.delete(mine), one.post(place, json=body)):
        assert answer.status_code == 403
    assert keystone.post(place, json={"policy": made}).status_code == 400
    assert keystone.delete(mine).status_code == 204
    assert keystone.get(mine).status_code == 404


def test_groups_have_members_and_roles(keystone: httpx.Client, name: str) -> None:
    group = keystone.post("/identity/v3/groups", json={"group": {"name": name}}).json()["group"]
    assert keystone.get(group["links"]["self"]).json()["group"] == group
    changed = keystone.patch(group["links"]["self"], json={"group": {"description": "some"}}).json()["group"]
    assert changed == {**group, "description": "some"}
    user = keystone.post("/identity/v3/users", json={"user": {"name": name, "password": name}}).json()["user"]
    member = f"{group['links']['self']}/users/{user['id']}"
    assert keystone.head(member).status_code == 404
    assert keystone.put(member).status_code == 204
    assert keystone.head(member).status_code == 204
    people = keystone.get(f"{group['links']['self']}/users").json()["users"]
    assert [each["id"] for each in people] == [user["id"]]
    of_user = keystone.get(f"{user['links']['self']}/groups").json()["groups"]
    assert of_user == [changed]
    (role,) = keystone.get("/identity/v3/roles", params={"name": "member"}).json()["roles"]
    project = keystone.post("/identity/v3/projects", json={"project": {"name": name}}).json()["project"]
    grant = f"/identity/v3/projects/{project['id']}/groups/{group['id']}/roles/{role['id']}"
    assert keystone.put(grant).status_code == 204
    assert keystone.head(grant).status_code == 204
    wanted = {"group.id": group["id"], "include_names": "1"}
    (given,) = keystone.get("/identity/v3/role_assignments", params=wanted).json()["role_assignments"]
    assert given["group"]["name"] == name
    assert "user" not in given
    scope = {"project": {"id": project["id"]}}
    token = keystone.post("/identity/v3/auth/tokens", json=auth(name, name, scope)).json()["token"]
    assert {each["name"] for each in token["roles"]} == {"member", "reader"}
    assert keystone.delete(member).status_code == 204
    refused = keystone.post("/identity/v3/auth/tokens", json=auth(name, name, scope))
    assert refused.status_code == 401
    assert keystone.delete(grant).status_code == 204
    assert keystone.delete(group["links"]["self"]).status_code == 204
    assert keystone.get(group["links"]["self"]).status_code == 404


def test_who_administers_the_cloud_puts_users_of_any_domain_into_a_group(
    cloud: Cloud, keystone: httpx.Client, name: str
) -> None:
    domain = keystone.post("/identity/v3/domains", json={"domain": {"name": name}}).json()["domain"]["id"]
    body = {"user": {"name": name, "domain_id": domain}}
    user = keystone.post("/identity/v3/users", json=body).json()["user"]
    group = keystone.post("/identity/v3/groups", json={"group": {"name": name}}).json()["group"]
    member = f"{group['links']['self']}/users/{user['id']}"
    with cloud.client() as other:
        other.headers["x-auth-token"] = cloud.member_of_a_new_project(name)
        assert other.put(member).status_code in (403, 404)
    assert keystone.put(member).status_code == 204
    assert keystone.get(f"{group['links']['self']}/users").json()["users"] == [user]
    assert keystone.get(f"{user['links']['self']}/groups").json()["groups"] == [group]


def test_a_role_gets_another_name_unless_it_is_one_of_wefts_own(
    cloud: Cloud, keystone: httpx.Client, name: str
) -> None:
    role = keystone.post("/identity/v3/roles", json={"role": {"name": name}}).json()["role"]
    wanted = {"role": {"name": f"{name}-2", "description": "some"}}
    with cloud.client() as other:
        other.headers["x-auth-token"] = cloud.member_of_a_new_project(name)
        assert other.patch(role["links"]["self"], json=wanted).status_code == 403
    changed = keystone.patch(role["links"]["self"], json=wanted)
    assert (changed.status_code, changed.json()) == (200, {"role": role | wanted["role"]})
    assert keystone.patch(role["links"]["self"], json={"role": {}}).json() == changed.json()
    (member,) = keystone.get("/identity/v3/roles", params={"name": "member"}).json()["roles"]
    assert keystone.patch(member["links"]["self"], json=wanted).status_code == 409
    assert keystone.delete(role["links"]["self"]).status_code == 204


def test_a_role_can_come_with_another(keystone: httpx.Client, name: str) -> None:
    made = [
        keystone.post("/identity/v3/roles", json={"role": {"name": f"{name}-{n}"}}).json()["role"]
        for n in range(2)
    ]
    pair = f"/identity/v3/roles/{made[0]['id']}/implies/{made[1]['id']}"
    assert keystone.head(pair).status_code == 404
    said = keystone.put(pair)
    assert said.status_code == 201
    assert said.json()["role_inference"]["implies"]["name"] == made[1]["name"]
    assert keystone.get(pair).json() == said.json()
    implied = keystone.get(f"/identity/v3/roles/{made[0]['id']}/implies").json()["role_inference"]["implies"]
    assert [each["id"] for each in implied] == [made[1]["id"]]
    every = keystone.get("/identity/v3/role_inferences").json()["role_inferences"]
    found = {each["prior_role"]["name"]: [to["name"] for to in each["implies"]] for each in every}
    assert found["admin"] == ["manager"]
    assert found[made[0]["name"]] == [made[1]["name"]]
    assert keystone.delete(pair).status_code == 204
    assert keystone.get(pair).status_code == 404


def test_an_application_credential_is_made_and_logs_in(cloud: Cloud, name: str) -> None:
    with cloud.client() as client:
        client.headers["x-auth-token"] = cloud.member_of_a_new_project(name)
        headers = {"x-subject-token": client.headers["x-auth-token"]}
        own = client.get("/identity/v3/auth/tokens", headers=headers).json()["token"]
        path = f"/identity/v3/users/{own['user']['id']}/application_credentials"
        body = {"name": name, "roles": [{"name": "reader"}], "expires_at": "2099-01-31T12:00:00Z"}
        made = client.post(path, json={"application_credential": body})
        assert made.status_code == 201
        credential = made.json()["application_credential"]
        assert [role["name"] for role in credential["roles"]] == ["reader"]
        (listed,) = client.get(path).json()["application_credentials"]
        assert listed == {key: value for key, value in credential.items() if key != "secret"}
        said = {"id": credential["id"], "secret": credential["secret"]}
        identity = {"methods": ["application_credential"], "application_credential": said}
        login = {"auth": {"identity": identity}}
        token = client.post("/identity/v3/auth/tokens", json=login).json()["token"]
        assert token["project"] == own["project"]
        assert [role["name"] for role in token["roles"]] == ["reader"]
        said["secret"] += "x"
        assert client.post("/identity/v3/auth/tokens", json=login).status_code == 401
        assert client.delete(f"{path}/{credential['id']}").status_code == 204
        assert client.get(f"{path}/{credential['id']}").status_code == 404


@pytest.mark.parametrize("id", [NOBODY, "a-name"])
@pytest.mark.parametrize("kind", ["projects", "users", "domains", "roles", "endpoints", "services"])
def test_what_is_not_there_is_not_found_by_id_or_by_name(keystone: httpx.Client, kind: str, id: str) -> None:
    assert keystone.get(f"/identity/v3/{kind}").status_code == 200
    answer = keystone.get(f"/identity/v3/{kind}/{id}")
    assert answer.status_code == answer.json()["error"]["code"] == 404


@pytest.mark.parametrize(
    ("method", "path", "body", "status"),
    [
        ("POST", "/identity/v3/projects", "{", 400),
        ("POST", "/identity/v3/projects", "[]", 400),
        ("POST", "/identity/v3/projects", '{"project": {"name": 5}}', 400),
        ("POST", "/identity/v3/projects", '{"project": {"name": "x", "is_domain": true}}', 501),
        ("POST", "/identity/v3/auth/tokens", '{"auth": {"identity": {"methods": ["magic"]}}}', 401),
        ("PUT", "/identity/v3/projects", "{}", 405),
        ("GET", "/identity/v3/OS-OAUTH1/consumers", "", 404),
        ("POST", "/identity/v3/regions", '{"region": {"parent_region_id": "nowhere"}}', 404),
    ],
)
def test_malformed_and_unsupported_calls_are_refused(
    keystone: httpx.Client, method: str, path: str, body: str, status: int
) -> None:
    answer = keystone.request(method, path, content=body)
    assert answer.status_code == answer.json()["error"]["code"] == status


def test_a_dialects_call_is_one_trace_with_the_calls_that_it_makes(cloud: Cloud) -> None:
    trace_id = uuid.uuid4().hex
    with cloud.client() as client:
        client.headers["x-auth-token"] = cloud.login()
        client.get("/identity/v3/roles", headers={"traceparent": f"00-{trace_id}-{'1' * 16}-01"})
    with cloud.client(cloud.login()) as client:
        for _ in range(50):
            spans = client.get(f"/telemetry/v1/traces/{trace_id}").json().get("spans", [])
            if {"gateway", "identity"} <= {span["service"] for span in spans}:
                break
            time.sleep(0.2)
    by_service = {span["service"]: span for span in spans}
    assert by_service["identity"]["parent_span_id"] == by_service["gateway"]["span_id"]


def test_domains_are_named_by_id_in_a_login(cloud: Cloud, operator: httpx.Client) -> None:
    domain = operator.post("/identity/v3/domains", json={"domain": {"name": "by-id"}}).json()["domain"]["id"]
    user = {"name": "dora", "domain_id": domain, "password": "secret of dora"}
    assert operator.post("/identity/v3/users", json={"user": user}).status_code == 201
    said = {"name": "dora", "domain": {"id": domain}, "password": "secret of dora"}
    body = {"auth": {"identity": {"methods": ["password"], "password": {"user": said}}}}
    with cloud.client() as client:
        token = client.post("/identity/v3/auth/tokens", json=body)
        assert token.status_code == 201, token.text
        assert token.json()["token"]["user"]["domain"]["id"] == domain
        said["domain"] = {"id": "default"}
        assert client.post("/identity/v3/auth/tokens", json=body).status_code == 401
