"""openstacksdk's own functional tests against a cloud: whom they speak as, and what came of each."""

import json
import os
import secrets
import subprocess
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree

from tests.compat.clients import Client

# A folder a service, and `cloud` of several; those of services that weft has not are left out.
_SERVICES = ("block_storage", "compute", "identity", "image", "network")
_SEVERAL = (*_SERVICES, "inventory", "meta", "project_cleanup")
_OF_ONE = ("block_storage/v3", *_SERVICES[1:], "placement")
TESTS = (*_OF_ONE, *(f"cloud/test_{name}.py" for name in _SEVERAL))
# Name, memory in MiB, disk in GiB, virtual processors.
_FLAVORS = (
    ("m1.tiny", 512, 1, 1),
    ("m1.small", 2048, 20, 1),
    ("m1.medium", 4096, 40, 2),
    ("m1.large", 8192, 80, 4),
    ("m1.xlarge", 16384, 160, 8),
)
_ENDED = ("skipped", "failure", "error")


def configured(folder: Path, admin: Client, image_file: Path) -> None:
    """A clouds.yaml in `folder` with the names that the tests look for; the cloud as they expect it."""
    folder.mkdir()
    words = ["--public", "--file", str(image_file), "--disk-format", "qcow2", "cirros-judged"]
    admin.run("image", "create", *words)
    _as_devstack(admin)
    # One of them uploads it.
    (folder / "CONTRIBUTING.rst").write_text("Any text does.")
    said = admin.variables
    clouds = {
        "devstack-admin": _cloud(said, project_name="admin"),
        "devstack-system-admin": _cloud(said, system_scope="all"),
    }
    for cloud, name in (("devstack", "demo"), ("devstack-alt", "alt_demo")):
        password = secrets.token_hex(16)
        admin.run("project", "create", name)
        admin.run("user", "create", "--password", password, name)
        admin.run("role", "add", "--project", name, "--user", name, "member")
        person = said | {"OS_USERNAME": name, "OS_PASSWORD": password}
        # Other tests have networks in the project meanwhile: a server is not left to choose.
        default = {"networks": [{"name": "private", "default_interface": True}]}
        clouds[cloud] = _cloud(person, project_name=name) | default
        _network(replace(admin, variables=person | {"OS_PROJECT_NAME": name}))
    # What is JSON is YAML too.
    (folder / "clouds.yaml").write_text(json.dumps({"clouds": clouds}))


def _as_devstack(admin: Client) -> None:
    """Its flavors, of which the tests count, and the name of its external network."""
    for flavor in admin.get("flavor", "list"):
        admin.run("flavor", "delete", flavor["ID"])
    for name, memory, disk, cpus in _FLAVORS:
        size = ["--ram", str(memory), "--disk", str(disk), "--vcpus", str(cpus)]
        admin.run("flavor", "create", *size, name)
    admin.run("network", "set", "--name", "public", "outside")


def _network(person: Client) -> None:
    """What a new server is on, and the way out that its floating IP takes."""
    person.run("network", "create", "private")
    person.run("subnet", "create", "--network", "private", "--subnet-range", "10.9.0.0/24", "private-v4")
    person.run("router", "create", "--external-gateway", "public", "way")
    person.run("router", "add", "subnet", "way", "private-v4")


def _cloud(said: Mapping[str, str], **scope: str) -> dict[str, object]:
    project = {"project_domain_id": "default"} if "project_name" in scope else {}
    auth = {
        "auth_url": said["OS_AUTH_URL"],
        "username": said["OS_USERNAME"],
        "password": said["OS_PASSWORD"],
        "user_domain_id": "default",
    }
    return {
        "auth": auth | project | scope,
        "cacert": said["OS_CACERT"],
        "identity_api_version": "3",
        "region_name": "RegionOne",
    }


def run(folder: Path, commands: Path, admin: Client) -> Mapping[str, str]:
    """What came of each test: passed, failed or skipped. What the run says is in run.log there."""
    root = _tests(commands)
    # Nothing of the settings of weft's own tests.
    words = ["-q", "-c", os.devnull, "--rootdir", root, "-p", "no:cacheprovider", "-n", "3"]
    words += ["--dist", "loadscope", f"--junitxml={folder / 'report.xml'}"]
    variables = {
        "OS_CLIENT_CONFIG_FILE": str(folder / "clouds.yaml"),
        "OPENSTACKSDK_FLAVOR": "m1.tiny",
        "OS_TEST_TIMEOUT": "120",
        # How long something is waited for, in seconds: long where no guest boots.
        "OPENSTACKSDK_FUNC_TEST_TIMEOUT": "60",
    }
    with (folder / "run.log").open("w") as log:
        subprocess.run(
            [commands / "python", "-m", "pytest", *words, *(root / test for test in TESTS)],
            cwd=folder, env=admin.environ | variables, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
            check=False,
        )  # fmt: skip
    return outcomes(folder / "report.xml")


def _tests(commands: Path) -> Path:
    """The folder of the tests in the judge's environment."""
    words = [commands / "python", "-c", "import openstack; print(openstack.__path__[0])"]
    found = subprocess.run(words, capture_output=True, text=True, check=True)
    return Path(found.stdout.strip()) / "tests" / "functional"


def outcomes(report: Path) -> Mapping[str, str]:
    """The outcome of each test of a JUnit report; a test whose cleaning up fails has failed."""
    found: dict[str, str] = {}
    for case in ElementTree.parse(report).iter("testcase"):
        name = f"{case.get('classname')}.{case.get('name')}"
        ends = [kind for kind in _ENDED if case.find(kind) is not None]
        outcome = "passed" if not ends else "skipped" if ends == ["skipped"] else "failed"
        found[name] = "failed" if "failed" in (outcome, found.get(name)) else outcome
    return found


def service(test: str) -> str:
    """The service that a test is of."""
    first, second = test.split(".")[:2]
    return second.removeprefix("test_") if first == "cloud" else first
