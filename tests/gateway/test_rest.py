"""REST as it is translated from the contracts, and how it says what went wrong."""

import hashlib
import json
import os
import uuid

import httpx
import pytest

from tests.gateway.conftest import Cloud, gateway_without

NOBODY = "00000000-0000-4000-8000-000000000000"


def new_image(client: httpx.Client, **more: object) -> dict:
    answer = client.post("/image/v1/images", json={"disk_format": "DISK_FORMAT_RAW", **more})
    assert answer.status_code == 200, answer.text
    return answer.json()


def problem(answer: httpx.Response, status: int, reason: str) -> dict:
    """The problem details of an answer, checked for what every one has."""
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    found = answer.json()
    assert found["reason"] == reason
    assert found["status"] == status
    assert found["type"] == f"urn:weft:error:{reason.lower().replace('_', '-')}"
    assert found["detail"]
    assert found["trace_id"] == answer.headers["x-trace-id"]
    return found


def test_a_resource_is_created_changed_listed_and_deleted(member: httpx.Client) -> None:
    image = new_image(member, name="first")
    path = f"/image/v1/images/{image['id']}"
    changed = member.patch(path, params={"update_mask": "name"}, json={"name": "second"})
    assert changed.json()["name"] == "second"
    listed = member.get("/image/v1/images", params={"name": "second"}).json()
    assert [item["id"] for item in listed["images"]] == [image["id"]]
    assert member.delete(path).status_code == 200
    problem(member.get(path), 404, "NOT_FOUND")


def test_a_file_of_many_megabytes_goes_up_and_comes_down_unchanged(member: httpx.Client) -> None:
    content = os.urandom(64 * 1024 * 1024)
    image = new_image(member, name="large")
    up = member.put(f"/image/v1/images/{image['id']}/file", content=content)
    assert up.json()["sha256"] == hashlib.sha256(content).hexdigest()
    down = member.get(f"/image/v1/images/{image['id']}/file")
    assert hashlib.sha256(down.content).digest() == hashlib.sha256(content).digest()
    part = member.get(f"/image/v1/images/{image['id']}/file", params={"offset": 1000, "length": 500})
    assert part.content == content[1000:1500]


def test_a_content_that_is_not_what_was_promised_is_the_callers_error(member: httpx.Client) -> None:
    expected = hashlib.sha256(b"promised").hexdigest()
    image = new_image(member, name="promised", sha256=expected)
    path = f"/image/v1/images/{image['id']}"
    found = problem(member.put(f"{path}/file", content=b"another"), 400, "CONTENT_MISMATCH")
    assert found["metadata"] == {
        "algorithm": "sha256",
        "expected": expected,
        "actual": hashlib.sha256(b"another").hexdigest(),
    }
    assert member.get(path).json()["status"] == "IMAGE_STATUS_QUEUED"
    assert member.put(f"{path}/file", content=b"promised").json()["status"] == "IMAGE_STATUS_ACTIVE"


def test_a_watch_comes_as_one_json_value_a_line(member: httpx.Client) -> None:
    with member.stream("GET", "/image/v1/images:watch", params={"from_revision": 1}) as stream:
        lines = stream.iter_lines()
        image = new_image(member, name="watched")
        for line in lines:
            event = json.loads(line)
            if event["image"]["id"] == image["id"]:
                assert event["type"] == "CREATED"
                break


def test_wrong_requests_say_what_is_wrong_with_which_field(member: httpx.Client) -> None:
    new_image(member, name="x" * 255)
    found = problem(
        member.post("/image/v1/images", json={"disk_format": "DISK_FORMAT_RAW", "name": "x" * 10_000}),
        400,
        "INVALID_ARGUMENT",
    )
    assert [error["field"] for error in found["errors"]] == ["name"]


@pytest.mark.parametrize(
    "body",
    ['{"name": 5}', '{"unknown": "field"}', "{", "[]", '"text"', '{"disk_format": "DISK_FORMAT_VHS"}'],
)
def test_bodies_that_are_not_the_message_are_refused(member: httpx.Client, body: str) -> None:
    answer = member.post("/image/v1/images", content=body, headers={"content-type": "application/json"})
    problem(answer, 400, "INVALID_ARGUMENT")


def test_an_unknown_query_parameter_is_refused(member: httpx.Client) -> None:
    assert member.get("/image/v1/images", params={"name": "x"}).status_code == 200
    problem(member.get("/image/v1/images", params={"nmae": "x"}), 400, "INVALID_ARGUMENT")


def test_no_token_a_broken_one_and_a_role_too_low_are_told_apart(cloud: Cloud, member: httpx.Client) -> None:
    with cloud.client() as nobody, cloud.client("not.a.token") as broken:
        problem(nobody.get("/image/v1/images"), 401, "UNAUTHENTICATED")
        problem(broken.get("/image/v1/images"), 401, "UNAUTHENTICATED")
    problem(member.post("/identity/v1/domains", json={"name": "mine"}), 403, "PERMISSION_DENIED")


def test_another_projects_resource_is_answered_like_one_that_is_not(
    admin: httpx.Client, member: httpx.Client
) -> None:
    image = new_image(admin, name="secret")
    theirs = problem(member.get(f"/image/v1/images/{image['id']}"), 404, "NOT_FOUND")
    nothing = problem(member.get(f"/image/v1/images/{NOBODY}"), 404, "NOT_FOUND")
    assert theirs["detail"].replace(image["id"], NOBODY) == nothing["detail"]
    problem(member.get(f"/image/v1/images/{image['id']}/file"), 404, "NOT_FOUND")
    assert admin.get(f"/image/v1/images/{image['id']}").status_code == 200


def test_a_revision_that_is_no_longer_is_a_conflict(member: httpx.Client) -> None:
    image = new_image(member)
    path, body = f"/image/v1/images/{image['id']}", {"name": "new"}
    assert member.patch(path, params={"expected_revision": image["revision"]}, json=body).status_code == 200
    found = member.patch(path, params={"expected_revision": image["revision"]}, json=body)
    problem(found, 409, "REVISION_MISMATCH")


def test_a_status_that_does_not_allow_the_call_is_a_conflict(member: httpx.Client) -> None:
    image = new_image(member, protected=True)
    problem(member.delete(f"/image/v1/images/{image['id']}"), 409, "WRONG_STATUS")
    member.patch(f"/image/v1/images/{image['id']}", params={"update_mask": "protected"}, json={"name": ""})
    assert member.delete(f"/image/v1/images/{image['id']}").status_code == 200


def test_a_repeated_request_id_makes_one_thing(member: httpx.Client) -> None:
    request = {"request_id": str(uuid.uuid4()), "name": "once"}
    assert new_image(member, **request)["id"] == new_image(member, **request)["id"]
    answer = member.post(
        "/image/v1/images", json={**request, "name": "else", "disk_format": "DISK_FORMAT_RAW"}
    )
    problem(answer, 400, "REQUEST_ID_REUSED")


def test_a_service_that_is_away_is_unavailable(cloud: Cloud) -> None:
    with gateway_without(cloud, "compute") as apart, apart.client(cloud.login()) as client:
        problem(client.get("/compute/v1/servers"), 503, "UNAVAILABLE")
        assert client.get("/image/v1/images").status_code == 200


def test_paths_that_lead_nowhere_are_not_found(member: httpx.Client) -> None:
    for path in ("/nothing", "/image/v1/nothing", "/weft.node.v1.GuestService/ListGuests", "/docs/nothing"):
        problem(member.get(path), 404, "NOT_FOUND")


@pytest.mark.parametrize(
    "path", ["/image/v1/images/..%2f..%2fetc", "/ui/%2e%2e/%2e%2e/app.py", "/ui/..%5capp.py"]
)
def test_tricks_with_paths_reach_no_file(member: httpx.Client, path: str) -> None:
    assert member.get(path).status_code in (400, 404)
    assert member.get("/ui/app.js").status_code == 200


def test_pages_and_documents_are_served_with_strict_headers(cloud: Cloud) -> None:
    with cloud.client() as client:
        assert client.get("/openapi.json").json()["openapi"].startswith("3.1")
        assert "BEGIN CERTIFICATE" in client.get("/ca.crt").text
        page = client.get("/ui/")
        assert "script-src" not in page.headers["content-security-policy"]
        assert "default-src 'self'" in page.headers["content-security-policy"]
        assert page.headers["x-content-type-options"] == "nosniff"
        for asset in ("/docs", "/docs/start.js", "/docs/assets/js/swagger-ui-bundle.js"):
            assert client.get(asset).status_code == 200


@pytest.mark.parametrize("span", ["1m", "50m", "1S"])
def test_whose_time_is_over_is_told_so_whoever_notices(member: httpx.Client, span: str) -> None:
    """gRPC ends a call at its deadline by itself, where the service has not said so before."""
    answer = member.get("/image/v1/images:watch", headers={"grpc-timeout": span})
    found = problem(answer, 504, "DEADLINE_EXCEEDED")
    assert found["title"] == "Deadline exceeded"
