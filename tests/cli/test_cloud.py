"""Commands against a real cloud with a simulated host: made, found by name, followed, told when they fail."""

import json
import socket
from pathlib import Path

import pytest

from cli.cloud.layout import Layout
from tests.cli.conftest import Cloud, weft

pytestmark = pytest.mark.system
IMAGE = b"raw disk\n" * 1000


@pytest.fixture(scope="module")
def network(cloud: Cloud) -> str:
    id = cloud.made("network", "create", "net")
    cloud.made("subnet", "create", "net-v4", "--network", "net", "--cidr", "10.3.0.0/24")
    return id


@pytest.fixture(scope="module")
def image(cloud: Cloud) -> str:
    file = cloud.home / "disk.raw"
    file.write_bytes(IMAGE)
    return cloud.made("image", "upload", str(file), "--name", "disk", "--format", "raw")


@pytest.fixture(scope="module")
def server(cloud: Cloud, network: str, image: str) -> str:
    words = ("server", "create", "first", "--flavor", "tiny", "--image", "disk", "--network", "net", "--wait")
    return cloud.made(*words)


def test_login_keeps_a_token_that_says_who_one_is(cloud: Cloud) -> None:
    said = cloud.run("whoami", "-o", "json").json
    assert (said["user_name"], said["project_name"], said["scope"]) == ("admin", "admin", "project")


def test_a_program_logs_in_with_an_application_credential_and_does_what_its_rules_say(cloud: Cloud) -> None:
    listing, itself = "method=GET,path=/compute/v1/servers", "rpc=weft.identity.v1.TokenService/*"
    rules = ("--access-rule", listing, "--access-rule", itself)
    made = cloud.run("application-credential", "create", "robot", "--role", "reader", *rules, "-o", "json")
    assert made.status == 0, made.err
    own = {"XDG_CONFIG_HOME": str(cloud.home / "robot")}
    where = ("--endpoint", cloud.layout.endpoint, "--ca", str(cloud.layout.ca))
    words = (*where, "login", "--application-credential", made.json["id"])
    assert cloud.run(*words, WEFT_PASSWORD="wrong", **own).status == 4
    found = cloud.run(*words, WEFT_PASSWORD=made.json["secret"], **own)
    assert found.status == 0, found.err
    kept = cloud.run("whoami", "-o", "json", **own).json
    assert (kept["delegation_id"], kept["roles"]) == (made.json["id"], ["reader"])
    assert cloud.run("server", "list", **own).status == 0
    assert cloud.run("flavor", "list", **own).status == 4


def test_a_project_is_changed_for_one_command(cloud: Cloud) -> None:
    system = cloud.run(
        "--cloud", "root", "--endpoint", cloud.layout.endpoint, "--ca", str(cloud.layout.ca),
        "login", "--user", "admin", "--system", "--password-file", str(cloud.layout.admin_password),
    )  # fmt: skip
    assert system.status == 0, system.err
    assert cloud.run("--cloud", "root", "whoami", "-o", "json").json["scope"] == "system"
    changed = cloud.run("--cloud", "root", "--project", "admin", "whoami", "-o", "json").json
    assert changed["project_name"] == "admin"
    again = cloud.run(
        "--cloud", "default", "--project", "admin", "login", "--user", "admin",
        "--password-file", str(cloud.layout.admin_password),
    )  # fmt: skip
    assert again.status == 0, again.err


def test_waiting_shows_each_step_and_ends_with_the_thing_as_it_is_then(cloud: Cloud, server: str) -> None:
    made = cloud.run(
        "server", "create", "second", "--flavor", "tiny", "--image", "disk", "--network", "net", "--wait",
        "--metadata", "a=b", "--tag", "x", "-o", "json",
    )  # fmt: skip
    assert made.json["status"] == "ACTIVE"
    assert made.json["metadata"] == {"a": "b"}
    assert "start guest" in made.err
    assert "server.boot: done" in made.err
    assert cloud.run("server", "delete", "second", "--wait").status == 0
    assert cloud.run("server", "show", "second").status == 3


def test_a_changed_router_is_waited_for_until_hosts_have_it(cloud: Cloud, server: str) -> None:
    cloud.made("router", "create", "way")
    changed = cloud.run("router", "add-interface", "way", "--subnet", "net-v4", "--wait", "-o", "json")
    assert changed.status == 0, changed.err
    assert "hosts have it" in changed.err
    assert "router.change: done" in changed.err
    shown = cloud.run("operation", "show", changed.json["operation_id"], "-o", "json").json
    assert (shown["kind"], shown["target_id"]) == ("router.change", changed.json["id"])
    listed = cloud.run("operation", "list", "--target", changed.json["id"], "-o", "json").json
    assert [each["id"] for each in listed] == [shown["id"]]


def test_what_no_host_takes_fails_with_the_reason(cloud: Cloud, server: str) -> None:
    flavor = ("flavor", "create", "vast", "--vcpus", "1", "--memory-mib", "16000000", "--disk-gib", "1")
    made = cloud.run("--cloud", "root", *flavor)
    assert made.status == 0, made.err
    said = cloud.run(
        "server", "create", "vast", "--flavor", "vast", "--image", "disk", "--network", "net", "--wait"
    )
    assert said.status == 1
    assert "NO_VALID_HOST" in said.err or "QUOTA_EXCEEDED" in said.err
    assert "Traceback" not in said.err


def test_lists_are_tables_json_yaml_or_ids(cloud: Cloud, server: str) -> None:
    assert server in cloud.run("server", "list").out
    assert [item["id"] for item in cloud.run("server", "list", "-o", "json").json][:1] == [server]
    assert f"id: {server}" in cloud.run("server", "list", "-o", "yaml").out
    assert cloud.run("server", "list", "-o", "id", "--limit", "1").out.strip() == server
    row = cloud.run("server", "list", "--columns", "name,status", "--status", "active").out
    assert "first" in row
    assert server not in row


def test_an_update_changes_what_was_given_and_nothing_else(cloud: Cloud, network: str) -> None:
    id = cloud.made("network", "create", "changing", "--description", "stays")
    assert cloud.run("network", "update", "changing", "--name", "changed", "--mtu", "1400").status == 0
    found = cloud.run("network", "show", id, "-o", "json").json
    assert (found["name"], found["mtu"], found["description"]) == ("changed", 1400, "stays")
    assert cloud.run("network", "delete", id).status == 0


def test_a_name_that_two_have_is_refused_with_their_ids(cloud: Cloud) -> None:
    both = {cloud.made("network", "create", "twin") for _ in range(2)}
    said = cloud.run("network", "show", "twin")
    assert said.status == 2
    assert all(id in said.err for id in both)
    for id in both:
        assert cloud.run("network", "delete", id).status == 0


def test_an_image_comes_back_as_it_was_sent(cloud: Cloud, image: str, tmp_path: Path) -> None:
    file = tmp_path / "back"
    assert cloud.run("image", "download", "disk", "--file", str(file)).status == 0
    assert file.read_bytes() == IMAGE


def test_a_refused_upload_leaves_no_image(cloud: Cloud, tmp_path: Path) -> None:
    file = tmp_path / "lie.qcow2"
    file.write_bytes(b"this is no qcow2")
    said = cloud.run("image", "upload", str(file), "--name", "lie")
    assert said.status == 1
    assert "IMAGE_REFUSED" in said.err
    assert cloud.run("image", "list", "--name", "lie", "-o", "json").json == []


def test_a_file_that_changes_while_it_is_sent_leaves_no_image(cloud: Cloud) -> None:
    for file, status in (("/proc/sys/kernel/random/uuid", 1), ("/proc/sys/kernel/random/boot_id", 0)):
        said = cloud.run("image", "upload", file, "--name", f"read-{status}")
        assert said.status == status, said.err
        assert ("CONTENT_MISMATCH" in said.err) == (status == 1)
        listed = cloud.run("image", "list", "--name", f"read-{status}", "-o", "json").json
        assert len(listed) == 1 - status


def test_a_boot_is_drawn_from_the_gateway_to_the_host(cloud: Cloud, server: str) -> None:
    said = cloud.run("trace", "show", "first")
    assert said.status == 0, said.err
    for words in ("flow server.boot", "step start guest", "node.v1.GuestService/StartGuest"):
        assert words in said.out
    listed = cloud.run("trace", "list", "--resource", server, "--operations", "-o", "json").json
    assert "server.boot" in {item["operation_kind"] for item in listed}
    assert "placement" in {s["service"] for s in json.loads(_trace(cloud, listed))["spans"]}


def _trace(cloud: Cloud, listed: list[dict[str, str]]) -> str:
    boot = next(item for item in listed if item["operation_kind"] == "server.boot")
    return cloud.run("trace", "show", boot["trace_id"], "-o", "json").out


def test_operations_are_listed_shown_and_watched(cloud: Cloud, server: str) -> None:
    listed = cloud.run("operation", "list", "--target", server, "-o", "json").json
    boot = next(item for item in listed if item["kind"] == "server.boot")
    assert boot["state"] == "SUCCEEDED"
    shown = cloud.run("operation", "show", boot["id"], "-o", "json").json
    assert shown["steps"][0]["name"] == "claim host"
    assert "done" in cloud.run("operation", "watch", boot["id"]).err
    assert cloud.run("operation", "cancel", boot["id"]).status == 1


def test_exit_statuses_tell_a_script_what_went_wrong(cloud: Cloud) -> None:
    missing = cloud.run("network", "show", "00000000-0000-4000-8000-000000000000")
    assert missing.status == 3
    assert "reason: NOT_FOUND" in missing.err
    assert "trace:" in missing.err
    denied = cloud.run("host", "list")
    assert denied.status == 4
    assert "weft policy explain compute.hosts.list" in denied.err
    assert cloud.run("server", "list", WEFT_TOKEN="nonsense").status == 4
    assert cloud.run("server", "nonsense").status == 2
    away = weft("--endpoint", "127.0.0.1:1", "--ca", str(cloud.layout.ca), "--token", "x", "server", "list")
    assert away.status in (1, 5)
    assert "Traceback" not in away.err


def test_policy_explains_both_verdicts(cloud: Cloud) -> None:
    assert cloud.run("policy", "explain", "compute.servers.create").out.endswith("Allowed.\n")
    refused = cloud.run("policy", "explain", "ListHosts")
    assert refused.status == 4
    assert refused.out.endswith("Refused: PERMISSION_DENIED.\n")
    nothing = cloud.run("policy", "explain", "compute.nonsense")
    assert nothing.status == 3


def test_a_logged_out_token_is_worthless(cloud: Cloud, tmp_path: Path) -> None:
    own = {"XDG_CONFIG_HOME": str(tmp_path)}  # the cloud that was logged in to last is the one from then on
    words = ("--cloud", "brief", "--endpoint", cloud.layout.endpoint, "--ca", str(cloud.layout.ca))
    login = (*words, "--project", "admin", "login", "--user", "admin")
    assert cloud.run(*login, "--password-file", str(cloud.layout.admin_password), **own).status == 0
    assert cloud.run("--cloud", "brief", "whoami", **own).status == 0
    assert cloud.run("--cloud", "brief", "logout", **own).status == 0
    assert cloud.run("--cloud", "brief", "whoami", **own).status == 4
    wrong = cloud.run(*login, **own, WEFT_PASSWORD="wrong")
    assert wrong.status == 4


def test_status_knows_what_runs_and_up_does_nothing_twice(cloud: Cloud) -> None:
    state = ("--state", str(cloud.layout.state))
    before = cloud.run("status", *state)
    assert before.status == 0, before.out
    same = ("--port", str(cloud.layout.port), "--hypervisor", "simulated", "--set", *cloud.layout.more)
    again = weft("up", *state, *same, "--detach")
    assert again.status == 0, again.err
    pids = [line for line in before.out.splitlines() if "pid" in line]
    assert [line for line in cloud.run("status", *state).out.splitlines() if "pid" in line] == pids
    other = weft("up", *state, "--port", str(cloud.layout.port), "--hosts", "2", "--detach")
    assert other.status == 1
    assert "other options" in other.err


def test_a_port_in_use_is_said_before_anything_is_begun(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        state = tmp_path / "s"
        said = weft("up", "--state", str(state), "--port", str(port))
    assert said.status == 1
    assert f"port {port} of 127.0.0.1 is in use" in said.err
    assert Layout.read(state) is None


def test_a_setting_that_there_is_not_is_refused_before_anything_begins(tmp_path: Path) -> None:
    answer = weft("up", "--state", str(tmp_path / "c"), "--set", "identity.nope=1")
    assert (answer.status, "identity.nope" in answer.err) == (1, True)
    assert not (tmp_path / "c").exists()
