"""Tempest against a cloud: its configuration, a run, and what came of each test."""

import re
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from tests.compat.clients import Client

# Only what weft says itself that it has: see docs/openstack.md.
_CONFIG = """
[oslo_concurrency]
lock_path = {folder}/lock
[auth]
use_dynamic_credentials = true
create_isolated_networks = true
admin_username = admin
admin_password = {password}
admin_project_name = admin
admin_domain_name = Default
[identity]
auth_version = v3
uri_v3 = {auth}/v3
ca_certificates_file = {ca}
default_domain_id = {domain}
[identity-feature-enabled]
api_v2 = false
application_credentials = false
security_compliance = false
[service_available]
cinder = true
glance = true
neutron = true
nova = true
swift = false
horizon = false
[compute]
image_ref = {image}
image_ref_alt = {image}
flavor_ref = {flavor}
flavor_ref_alt = {other_flavor}
build_timeout = {patience}
build_interval = 1
[compute-feature-enabled]
enable_instance_password = false
vnc_console = false
rescue = false
shelve = false
personality = false
live_migration = false
attach_encrypted_volume = false
[network]
public_network_id = {network}
floating_network_name = outside
[network-feature-enabled]
ipv6 = false
api_extensions = router,ext-gw-mode,extraroute,external-net,security-group,port-security,net-mtu,quotas,
    allowed-address-pairs,project-id,standard-attr-description,standard-attr-tag,standard-attr-timestamp
[image]
http_qcow2_image = {web}
[image-feature-enabled]
import_image = {imports}
[volume]
catalog_type = block-storage
vendor_name = weft
build_timeout = 120
build_interval = 1
[volume-feature-enabled]
backup = false
manage_snapshot = false
manage_volume = false
consistency_group = false
[validation]
run_validation = {logs_in}
connect_method = floating
auth_method = keypair
image_ssh_user = root
ssh_key_type = ecdsa
connect_timeout = 60
ssh_timeout = 240
"""
Outcomes = Mapping[str, str]
_OUTCOMES = {"ok": "passed", "FAILED": "failed", "SKIPPED": "skipped"}
_RESULT = re.compile(r"^\{\d+\} (.+?)(?: \[[\d.]+s\])? \.\.\. (ok|FAILED|SKIPPED)")


def configured(
    folder: Path, commands: Path, admin: Client, image_file: Path, *, logs_in: bool, web: str = ""
) -> None:
    """A workspace in `folder` for the cloud of that administrator; puts the images there that tests boot.

    `logs_in`: guests are logged in to, from where Tempest runs. `web`: where an image is to be had that the
    cloud may fetch.
    """
    # Else it would keep the workspace in the home directory, and refuse a second of that name.
    register = folder.with_suffix(".yaml")
    subprocess.run(
        [commands / "tempest", "init", "--workspace-path", register, folder],
        check=True, capture_output=True, stdin=subprocess.DEVNULL,
    )  # fmt: skip
    words = ["--public", "--file", str(image_file), "--disk-format", "qcow2", "judged"]
    said = {
        "folder": folder,
        "patience": 300 if logs_in else 120,
        "logs_in": str(logs_in).lower(),
        "web": web or "http://localhost/",
        "imports": str(bool(web)).lower(),
        "domain": admin.get("domain", "show", "Default")["id"],
        "auth": admin.variables["OS_AUTH_URL"],
        "ca": admin.variables["OS_CACERT"],
        "password": admin.variables["OS_PASSWORD"],
        "image": admin.get("image", "create", *words)["id"],
        "flavor": admin.get("flavor", "show", "tiny")["id"],
        "other_flavor": admin.get("flavor", "show", "small")["id"],
        "network": admin.get("network", "show", "outside")["id"],
    }
    (folder / "etc" / "tempest.conf").write_text(_CONFIG.format(**said))


def run(folder: Path, commands: Path, tests: str, place: Sequence[str] = ()) -> Outcomes:
    """What came of each test whose name matches: passed, failed or skipped.

    `place` is what the command begins with, where it is to run elsewhere.
    """
    words = [*place, commands / "tempest", "run", "--regex", tests, "--concurrency", "2"]
    done = subprocess.run(
        words, cwd=folder, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL
    )
    (folder / "run.log").write_text(done.stdout + done.stderr)
    matches = filter(None, map(_RESULT.match, done.stdout.splitlines()))
    found = {match[1]: _OUTCOMES[match[2]] for match in matches}
    assert found, done.stdout[-3000:] + done.stderr[-3000:]
    return found


def service(test: str) -> str:
    """The service that a test is of: identity, image, network, compute, volume; or "scenario", of several."""
    found = re.search(r"tempest\.(?:api\.(\w+)|(scenario))\.", test)
    assert found, test
    return found[1] or found[2]
