"""What Keystone's users hand on, and what they have in effect, over the real services."""

import json
import uuid

import httpx

from tests.gateway.conftest import Cloud

ROLES = "/identity/v3/roles"


def who(client: httpx.Client) -> tuple[str, str]:
    """The ids of the caller and of the project that the token is for."""
    subject = {"x-subject-token": client.headers["x-auth-token"]}
    token = client.get("/identity/v3/auth/tokens", headers=subject).json()["token"]
    return token["user"]["id"], token["project"]["id"]


def test_a_trust_lets_another_do_what_the_trustor_may(
    cloud: Cloud, one: httpx.Client, two: httpx.Client, operator: httpx.Client
) -> None:
    (trustor, project), (trustee, _) = who(one), who(two)
    body = {
        "trustor_user_id": trustor,
        "trustee_user_id": trustee,
        "project_id": project,
        "impersonation": False,
        "roles": [{"name": "member"}],
    }
    answer = one.post("/identity/v3/OS-TRUST/trusts", json={"trust": body})
    assert answer.status_code == 201, answer.text
    trust = answer.json()["trust"]
    place = f"/identity/v3/OS-TRUST/trusts/{trust['id']}"
    assert trust["links"]["self"].endswith(place)
    assert trust.items() >= (body | {"roles": trust["roles"], "expires_at": None}).items()
    (role,) = trust["roles"]
    assert one.get(f"{place}/roles").json()["roles"] == [role]
    assert one.head(f"{place}/roles/{role['id']}").status_code == 200
    assert one.head(f"{place}/roles/{uuid.uuid4()}").status_code == 404
    assert [each["id"] for each in two.get("/identity/v3/OS-TRUST/trusts").json()["trusts"]] == [trust["id"]]
    known = {name: value for name, value in trust.items() if name != "roles"}
    given, taken = {"trustor_user_id": trustor}, {"trustee_user_id": trustor}
    # With a slash at the end, as Tempest asks.
    for client, asked in ((operator, {}), (operator, given), (one, given)):
        listed = client.get("/identity/v3/OS-TRUST/trusts/", params=asked).json()["trusts"]
        assert [each for each in listed if each["id"] == trust["id"]] == [known]
    for client, asked in ((operator, taken), (two, given | taken)):
        assert client.get("/identity/v3/OS-TRUST/trusts/", params=asked).json()["trusts"] == []
    login = {
        "identity": {"methods": ["token"], "token": {"id": two.headers["x-auth-token"]}},
        "scope": {"OS-TRUST:trust": {"id": trust["id"]}},
    }
    used = two.post("/identity/v3/auth/tokens", json={"auth": login})
    assert used.json()["token"]["project"]["id"] == project
    assert two.delete(place).status_code == 403
    assert one.delete(place).status_code == 204
    assert one.get(place).status_code == 404
    assert two.post("/identity/v3/auth/tokens", json={"auth": login}).status_code == 401
    elsewhere = one.post("/identity/v3/OS-TRUST/trusts", json={"trust": body | {"project_id": trustee}})
    assert elsewhere.status_code == 403


def test_keys_for_ec2_are_ones_own_and_their_secret_is_told_once(
    one: httpx.Client, two: httpx.Client
) -> None:
    user, project = who(one)
    place = f"/identity/v3/users/{user}/credentials/OS-EC2"
    made = one.post(place, json={"tenant_id": project})
    assert made.status_code == 201
    key = made.json()["credential"]
    assert (key["user_id"], key["tenant_id"]) == (user, project)
    known = {name: value for name, value in key.items() if name != "secret"}
    assert one.get(f"{place}/{key['access']}").json() == {"credential": known}
    assert one.get(place).json()["credentials"] == [known]
    assert two.get(place).status_code == 404
    assert two.delete(f"{place}/{key['access']}").status_code == 404
    assert two.post(place, json={"tenant_id": project}).status_code == 403
    assert one.delete(f"{place}/{key['access']}").status_code == 204
    assert one.get(place).json()["credentials"] == []


def test_a_credential_is_its_users_and_the_administrators_and_a_key_for_ec2_is_one(
    one: httpx.Client, two: httpx.Client, operator: httpx.Client
) -> None:
    (user, project), place = who(one), "/identity/v3/credentials"
    pair = {"access": str(uuid.uuid4()), "secret": "a secret of sixteen signs"}
    body = {"type": "ec2", "blob": json.dumps(pair), "user_id": user, "project_id": project}
    made = one.post(place, json={"credential": body})
    assert made.status_code == 201, made.text
    credential = made.json()["credential"]
    mine = f"{place}/{credential['id']}"
    assert json.loads(credential["blob"]) == pair
    assert one.get(mine).json() == operator.get(mine).json() == {"credential": credential}
    (key,) = one.get(f"/identity/v3/users/{user}/credentials/OS-EC2").json()["credentials"]
    assert key["access"] == pair["access"]
    for other in (two.get(mine), two.delete(mine), two.patch(mine, json={"credential": {"blob": "{}"}})):
        assert other.status_code == 404
    assert two.post(place, json={"credential": body}).status_code == 404
    assert two.get(place).json()["credentials"] == []
    for client, asked in ((one, {}), (operator, {}), (operator, {"user_id": user, "type": "ec2"})):
        assert credential in client.get(place, params=asked).json()["credentials"]
    assert one.get(place, params={"type": "cert"}).json()["credentials"] == []
    newer = json.dumps(pair | {"secret": "another of sixteen signs"})
    changed = one.patch(mine, json={"credential": {"blob": newer, "type": "ec2"}})
    assert json.loads(changed.json()["credential"]["blob"]) == json.loads(newer)
    assert one.patch(mine, json={"credential": {"type": "cert"}}).status_code == 400
    assert one.delete(mine).status_code == 204
    assert one.get(mine).status_code == 404


def test_tags_of_a_project_are_set_one_by_one(operator: httpx.Client, one: httpx.Client) -> None:
    place = f"/identity/v3/projects/{who(one)[1]}/tags"
    assert operator.put(f"{place}/red").status_code == 201
    assert operator.put(f"{place}/blue").status_code == 201
    assert operator.get(place).json()["tags"] == ["red", "blue"]
    assert operator.head(f"{place}/red").status_code == 204
    assert operator.delete(f"{place}/red").status_code == 204
    assert operator.head(f"{place}/red").status_code == 404
    assert operator.delete(place).status_code == 204
    assert operator.get(place).json()["tags"] == []


def test_what_holds_in_effect_counts_what_is_inherited_and_implied(operator: httpx.Client) -> None:
    name = f"thing-{uuid.uuid4()}"
    domain = operator.post("/identity/v3/domains", json={"domain": {"name": name}}).json()["domain"]["id"]
    made = {
        kind: operator.post(f"/identity/v3/{kind}s", json={kind: {"name": name, "domain_id": domain}})
        for kind in ("project", "user")
    }
    project, user = (made[kind].json()[kind]["id"] for kind in ("project", "user"))
    roles = {each["name"]: each["id"] for each in operator.get(ROLES).json()["roles"]}
    held = f"/identity/v3/OS-INHERIT/domains/{domain}/users/{user}/roles"
    assert operator.put(f"{held}/{roles['member']}/inherited_to_projects").status_code == 204
    below = operator.get(f"{held}/inherited_to_projects").json()["roles"]
    assert [each["name"] for each in below] == ["member"]
    asked = {"scope.project.id": project, "user.id": user}
    given = operator.get("/identity/v3/role_assignments", params=asked).json()["role_assignments"]
    assert given == []
    answer = operator.get("/identity/v3/role_assignments", params=asked | {"effective": ""})
    effective = answer.json()["role_assignments"]
    assert {each["role"]["id"] for each in effective} == {roles["member"], roles["reader"]}
    assert {each["scope"]["project"]["id"] for each in effective} == {project}
    untold = operator.get("/identity/v3/role_assignments", params={"user.id": user, "effective": ""})
    assert untold.status_code == 501
