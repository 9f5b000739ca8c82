"""A program with an application credential, as it meets every service through the edge."""

import time

import httpx

from tests.gateway.conftest import Cloud
from tests.gateway.test_rest import new_image, problem


def test_access_rules_hold_in_every_service_and_the_end_is_heard_of_in_all(
    cloud: Cloud, member: httpx.Client
) -> None:
    rules = [{"method": "GET", "path": "/image/v1/images"}, {"rpc": "weft.compute.v1.ServerService/*"}]
    said = {"name": "robot", "roles": ["member"], "access_rules": rules}
    made = member.post("/identity/v1/applicationCredentials", json=said).json()
    login = {"application_credential": {"id": made["id"], "secret": made["secret"]}}
    with cloud.client() as anybody:
        token = anybody.post("/identity/v1/tokens", json=login).json()["token"]
    new_image(member, name="of the project")
    with cloud.client(token) as robot:
        assert robot.get("/image/v1/images").status_code == 200
        assert robot.get("/compute/v1/servers").status_code == 200
        problem(
            robot.post("/image/v1/images", json={"disk_format": "DISK_FORMAT_RAW"}), 403, "PERMISSION_DENIED"
        )
        problem(robot.get("/compute/v1/flavors"), 403, "PERMISSION_DENIED")
        problem(robot.get("/network/v1/networks"), 403, "PERMISSION_DENIED")
        assert member.delete(f"/identity/v1/applicationCredentials/{made['id']}").status_code == 200
        for path in ("/image/v1/images", "/compute/v1/servers"):
            limit = time.monotonic() + 60
            while robot.get(path).status_code != 401 and time.monotonic() < limit:
                time.sleep(0.05)
            problem(robot.get(path), 401, "TOKEN_REVOKED")
    with cloud.client() as anybody:
        problem(anybody.post("/identity/v1/tokens", json=login), 401, "UNAUTHENTICATED")


def test_a_code_is_asked_for_over_rest_with_a_receipt_to_go_on_with(cloud: Cloud) -> None:
    said = {"name": "careful", "password": "a long password", "second_factor_required": True}
    login = {"password": {"user_name": "careful", "password": "a long password"}}
    with cloud.client(cloud.login(system=True)) as admin, cloud.client() as anybody:
        user = admin.post("/identity/v1/users", json=said).json()
        found = problem(anybody.post("/identity/v1/tokens", json=login), 401, "SECOND_FACTOR_REQUIRED")
        receipt = {"receipt": {"receipt": found["metadata"]["receipt"]}, "totp_code": "123456"}
        problem(anybody.post("/identity/v1/tokens", json=receipt), 401, "UNAUTHENTICATED")
        device = admin.post(f"/identity/v1/users/{user['id']}/totp", json={}).json()
        assert device["uri"].startswith("otpauth://totp/")
        wrong = admin.post(f"/identity/v1/users/{user['id']}/totp:confirm", json={"totp_code": "12345"})
        problem(wrong, 400, "INVALID_ARGUMENT")
        assert admin.get(f"/identity/v1/users/{user['id']}/totp").json()["secret"] == ""
