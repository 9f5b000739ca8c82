"""Image v2 as Glance's clients speak it, over the real services."""

import hashlib
import os

import httpx
import pytest

from tests.gateway.conftest import Cloud

NOBODY = "00000000-0000-4000-8000-000000000000"
NEW = {"content-type": "application/openstack-images-v2.1-json-patch"}
OLD = {"content-type": "application/openstack-images-v2.0-json-patch"}
BYTES = {"content-type": "application/octet-stream"}


@pytest.fixture(scope="module")
def glance(cloud: Cloud):
    """Calls of an ordinary member of a project."""
    with cloud.client() as client:
        client.headers["x-auth-token"] = cloud.member_of_a_new_project("glance-member")
        yield client


@pytest.fixture(scope="module")
def stranger(cloud: Cloud):
    """Calls of a member of another project."""
    with cloud.client() as client:
        client.headers["x-auth-token"] = cloud.member_of_a_new_project("glance-stranger")
        yield client


def new(client: httpx.Client, **more: object) -> dict:
    answer = client.post("/image/v2/images", json={"disk_format": "raw", "container_format": "bare", **more})
    assert answer.status_code == 201, answer.text
    return answer.json()


def path(image: dict) -> str:
    return f"/image{image['self']}"


def test_the_versions_are_found_without_a_token(cloud: Cloud) -> None:
    with cloud.client() as client:
        choice, plain = client.get("/image"), client.get("/image/versions")
    assert (choice.status_code, plain.status_code) == (300, 200)
    assert choice.json() == plain.json()
    assert plain.json()["versions"][0]["links"][0]["href"] == f"{cloud.url}/image/v2/"


def test_a_content_goes_up_and_comes_down_whole_and_in_part(glance: httpx.Client) -> None:
    content = os.urandom(5_000_000)
    image = new(glance, name="up and down", os_distro="debian")
    assert (image["status"], image["size"], image["os_distro"]) == ("queued", None, "debian")
    file = f"/image{image['file']}"
    assert glance.get(file).status_code == 204
    assert glance.put(file, content=content, headers=BYTES).status_code == 204
    image = glance.get(path(image)).json()
    assert (image["status"], image["size"]) == ("active", len(content))
    assert image["os_hash_value"] == hashlib.sha512(content).hexdigest()
    whole = glance.get(file)
    assert (whole.status_code, whole.content) == (200, content)
    assert whole.headers["x-openstack-request-id"].startswith("req-")
    part = glance.get(file, headers={"range": "bytes=1000-1499"})
    assert (part.status_code, part.content) == (206, content[1000:1500])
    assert part.headers["content-range"] == f"bytes 1000-1499/{len(content)}"
    assert glance.get(file, headers={"range": "bytes=9000000-"}).status_code == 416
    assert glance.put(file, content=b"again", headers=BYTES).status_code == 409


def test_a_content_of_another_format_or_type_is_refused(glance: httpx.Client) -> None:
    image = new(glance, disk_format="qcow2")
    refused = glance.put(f"/image{image['file']}", content=b"no such disk" * 1000, headers=BYTES)
    assert refused.status_code == 400
    assert refused.headers["content-type"].startswith("text/html")
    assert glance.put(f"/image{image['file']}", json={}).status_code == 415
    assert glance.get(path(image)).json()["status"] == "queued"


def test_an_image_changes_by_both_forms_of_patch(glance: httpx.Client) -> None:
    image = new(glance, name="first", colour="red")
    steps = [
        {"op": "replace", "path": "/name", "value": "second"},
        {"op": "add", "path": "/shape", "value": "round"},
        {"op": "remove", "path": "/colour"},
        {"op": "replace", "path": "/tags", "value": ["a", "b"]},
    ]
    changed = glance.patch(path(image), json=steps, headers=NEW).json()
    assert (changed["name"], changed["shape"], changed["tags"]) == ("second", "round", ["a", "b"])
    assert "colour" not in changed
    again = glance.patch(path(image), json=[{"replace": "/min_disk", "value": 3}], headers=OLD).json()
    assert (again["min_disk"], again["shape"]) == (3, "round")


@pytest.mark.parametrize(
    ("steps", "status"),
    [
        ([{"op": "replace", "path": "/status", "value": "active"}], 403),
        ([{"op": "replace", "path": "/nothing", "value": "x"}], 409),
        ([{"op": "remove", "path": "/name"}], 403),
        ([{"op": "add", "path": "/number", "value": 5}], 400),
        ([{"op": "test", "path": "/name", "value": "x"}], 400),
        ([{"op": "add", "path": "/a/b", "value": "x"}], 400),
        ({"name": "x"}, 400),
    ],
)
def test_changes_that_cannot_be_are_refused(glance: httpx.Client, steps: object, status: int) -> None:
    image = new(glance)
    assert glance.patch(path(image), json=steps, headers=NEW).status_code == status
    assert glance.patch(path(image), json=[]).status_code == 415
    assert glance.get(path(image)).json() == image


def test_images_are_listed_by_filter_and_page_by_page(glance: httpx.Client) -> None:
    made = [new(glance, name=f"page-{number}", series="s", tags=["paged"])["id"] for number in range(5)]
    seen, address = [], "/image/v2/images?series=s&limit=2&sort_key=name&sort_dir=asc"
    pages = 0
    while address:
        answer = glance.get(address).json()
        seen += [each["id"] for each in answer["images"]]
        address = f"/image{answer['next']}" if "next" in answer else ""
        pages += 1
    assert (seen, pages) == (made, 3)
    tagged = glance.get("/image/v2/images", params={"tag": "paged", "name": "page-3"}).json()["images"]
    assert [each["id"] for each in tagged] == [made[3]]
    for query in ("limit=x", "marker=" + NOBODY, "sort_key=colour", "visibility=secret"):
        assert glance.get(f"/image/v2/images?{query}").status_code == 400


def test_tags_are_put_on_and_taken_off(glance: httpx.Client) -> None:
    image = new(glance)
    tag = f"{path(image)}/tags/green"
    assert glance.delete(tag).status_code == 404
    assert glance.put(tag).status_code == 204
    assert glance.get(path(image)).json()["tags"] == ["green"]
    assert glance.delete(tag).status_code == 204
    assert glance.get(path(image)).json()["tags"] == []


def test_an_image_is_seen_by_a_project_that_it_is_shared_with_and_by_no_other(
    cloud: Cloud, glance: httpx.Client, stranger: httpx.Client
) -> None:
    image = new(glance, visibility="shared")
    assert stranger.get(path(image)).status_code == 404
    token = stranger.headers["x-auth-token"]
    shown = stranger.get("/identity/v3/auth/tokens", headers={"x-subject-token": token})
    project = shown.json()["token"]["project"]["id"]
    added = glance.post(f"{path(image)}/members", json={"member": project})
    assert added.json()["status"] == "pending"
    assert stranger.get(path(image)).status_code == 200

    def listed(status: str = "") -> bool:
        query = {"visibility": "shared"} | ({"member_status": status} if status else {})
        return image["id"] in [
            each["id"] for each in stranger.get("/image/v2/images", params=query).json()["images"]
        ]

    assert [listed(status) for status in ("", "accepted", "pending", "all")] == [False, False, True, True]
    assert stranger.get("/image/v2/images", params={"member_status": "lost"}).status_code == 400
    accepted = stranger.put(f"{path(image)}/members/{project}", json={"status": "accepted"})
    assert accepted.json()["status"] == "accepted"
    assert [listed(status) for status in ("", "accepted", "pending", "all")] == [True, True, False, True]
    assert stranger.delete(path(image)).status_code in (403, 404)
    assert glance.delete(f"{path(image)}/members/{project}").status_code == 204
    assert stranger.get(path(image)).status_code == 404


def test_a_protected_image_stays_and_another_goes(glance: httpx.Client) -> None:
    image = new(glance, protected=True)
    assert glance.delete(path(image)).status_code == 403
    steps = [{"op": "replace", "path": "/protected", "value": False}]
    assert glance.patch(path(image), json=steps, headers=NEW).status_code == 200
    assert glance.delete(path(image)).status_code == 204
    assert glance.get(path(image)).status_code == 404


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"disk_format": "vhd"}, 400),
        ({"disk_format": "raw", "container_format": "docker"}, 400),
        ({"disk_format": "raw", "size": 5}, 403),
        ({"disk_format": "raw", "owner": NOBODY}, 403),
        ({"disk_format": "raw", "visibility": "public"}, 403),
        ({"disk_format": "raw", "extra": 5}, 400),
    ],
)
def test_images_that_cannot_be_made_are_refused(glance: httpx.Client, body: dict, status: int) -> None:
    assert glance.post("/image/v2/images", json=body).status_code == status


def test_a_content_that_is_not_what_was_promised_is_refused(cloud: Cloud) -> None:
    token = cloud.member_of_a_new_project("glance-promises")
    with cloud.client() as client:
        promised = {"disk_format": "DISK_FORMAT_RAW", "sha256": hashlib.sha256(b"promised").hexdigest()}
        image = client.post(
            "/image/v1/images", json=promised, headers={"authorization": f"Bearer {token}"}
        ).json()
        client.headers["x-auth-token"] = token
        file = f"/image/v2/images/{image['id']}/file"
        refused = client.put(file, content=b"another", headers=BYTES)
        assert refused.status_code == 400
        assert "has another SHA-256" in refused.text
        assert client.put(file, content=b"promised", headers=BYTES).status_code == 204
