"""Images that the cloud fetches itself, by REST and as OpenStack's clients ask for it."""

import hashlib
import os
import time
from collections.abc import Callable, Iterator

import httpx
import pytest

from tests.gateway.conftest import Cloud
from tests.served import served

DATA = os.urandom(300_000)
NAME = "disk?signature=kept-to-oneself"
_PATIENCE = 60.0


@pytest.fixture(scope="module")
def web() -> Iterator[str]:
    """Somebody's web server."""
    with served({NAME: DATA}) as address:
        yield address


@pytest.fixture(scope="module")
def token(cloud: Cloud) -> str:
    """Of an ordinary member of a project."""
    return cloud.member_of_a_new_project("importer")


@pytest.fixture
def rest(cloud: Cloud, token: str) -> Iterator[httpx.Client]:
    """Their calls by REST."""
    with cloud.client(token) as client:
        yield client


@pytest.fixture
def glance(cloud: Cloud, token: str) -> Iterator[httpx.Client]:
    """Their calls as those of OpenStack's clients."""
    with cloud.client() as client:
        client.headers["x-auth-token"] = token
        yield client


def until(client: httpx.Client, place: str, done: Callable[[dict], bool]) -> dict:
    """What is at a place once it is as wanted."""
    ends = time.monotonic() + _PATIENCE
    while not done(found := client.get(place).json()):
        assert time.monotonic() < ends, found
        time.sleep(0.1)
    return found


def test_an_image_is_imported_by_rest_and_followed_to_its_end(rest: httpx.Client, web: str) -> None:
    made = rest.post("/image/v1/images", json={"name": "fetched", "disk_format": "DISK_FORMAT_RAW"}).json()
    sha256 = hashlib.sha256(DATA).hexdigest()
    wanted = {"uri": f"{web}/{NAME}", "sha256": sha256}
    begun = rest.post(f"/image/v1/images/{made['id']}:import", json=wanted)
    assert begun.status_code == 200, begun.text
    assert begun.json()["status"] == "IMAGE_STATUS_IMPORTING"
    place = f"/image/v1/operations/{begun.json()['operation_id']}"
    ended = until(rest, place, lambda seen: "ended_at" in seen)
    assert (ended["state"], ended["kind"]) == ("OPERATION_STATE_SUCCEEDED", "image.import")
    assert int(ended["steps"][0]["done_bytes"]) == len(DATA)
    assert "kept-to-oneself" not in str(ended)
    image = rest.get(f"/image/v1/images/{made['id']}").json()
    assert (image["status"], image["sha256"]) == ("IMAGE_STATUS_ACTIVE", sha256)
    assert rest.get(f"/image/v1/images/{made['id']}/file").content == DATA


def test_an_import_is_refused_and_cancelled_by_rest(rest: httpx.Client, web: str) -> None:
    made = rest.post("/image/v1/images", json={"disk_format": "DISK_FORMAT_RAW"}).json()
    inside = rest.post(f"/image/v1/images/{made['id']}:import", json={"uri": "http://169.254.169.254/"})
    assert inside.status_code == 400
    begun = rest.post(f"/image/v1/images/{made['id']}:import", json={"uri": f"{web}/nothing"}).json()
    place = f"/image/v1/operations/{begun['operation_id']}"
    ended = until(rest, place, lambda seen: "ended_at" in seen)
    assert (ended["state"], ended["error"]["reason"]) == ("OPERATION_STATE_FAILED", "SOURCE_REFUSED")
    assert rest.post(f"{place}:cancel", json={}).status_code == 409
    assert rest.get(f"/image/v1/images/{made['id']}").json()["status"] == "IMAGE_STATUS_QUEUED"


def described(glance: httpx.Client) -> str:
    """The path of a new image; it says how its content may come."""
    body = {"disk_format": "raw", "container_format": "bare"}
    made = glance.post("/image/v2/images", json=body)
    assert made.status_code == 201, made.text
    methods = glance.get("/image/v2/info/import").json()["import-methods"]["value"]
    assert made.headers["openstack-image-import-methods"].split(",") == methods == ["web-download"]
    return f"/image{made.json()['self']}"


def test_an_image_is_imported_by_glances_call_and_its_task_says_so(glance: httpx.Client, web: str) -> None:
    image = described(glance)
    assert glance.get(f"{image}/tasks").json() == {"tasks": []}
    method = {"name": "web-download", "uri": f"{web}/{NAME}"}
    begun = glance.post(f"{image}/import", json={"method": method, "all_stores": True})
    assert (begun.status_code, begun.content) == (202, b"")
    active = until(glance, image, lambda seen: seen["status"] not in ("importing", "queued"))
    assert (active["status"], active["os_hash_value"]) == ("active", hashlib.sha512(DATA).hexdigest())
    told = until(glance, f"{image}/tasks", lambda seen: seen["tasks"][0]["status"] != "processing")
    (task,) = told["tasks"]
    assert (task["status"], task["type"]) == ("success", "api_image_import")
    assert task["request_id"] == begun.headers["x-openstack-request-id"]
    assert task["input"]["import_req"]["method"]["name"] == "web-download"
    assert "kept-to-oneself" not in str(task)
    assert glance.post(f"{image}/import", json={"method": method}).status_code == 409


def test_a_task_that_failed_says_why_and_leaves_the_image_queued(glance: httpx.Client, web: str) -> None:
    image = described(glance)
    method = {"name": "web-download", "uri": f"{web}/nothing"}
    assert glance.post(f"{image}/import", json={"method": method}).status_code == 202
    told = until(glance, f"{image}/tasks", lambda seen: seen["tasks"][0]["status"] == "failure")
    assert "404" in told["tasks"][0]["message"]
    assert glance.get(image).json()["status"] == "queued"


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"method": {"name": "glance-direct"}},
        {"method": {"name": "web-download"}},
        {"method": {"name": "web-download", "uri": 5}},
        {"method": {"name": "web-download", "uri": "http://169.254.169.254/"}},
        {"method": {"name": "web-download", "uri": "http://example.org/"}, "stores": ["fast"]},
    ],
)
def test_what_cannot_be_imported_is_refused(glance: httpx.Client, web: str, body: dict) -> None:
    image = described(glance)
    assert glance.post(f"{image}/import", json=body).status_code == 400
    assert glance.get(f"{image}/tasks").json() == {"tasks": []}
    method = {"name": "web-download", "uri": f"{web}/{NAME}"}
    assert glance.post(f"{image}/import", json={"method": method}).status_code == 202
