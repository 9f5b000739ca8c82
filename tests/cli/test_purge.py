"""`weft project purge` on a real cloud with a simulated host: servers, volumes and all they hang on."""

import pytest

from tests.cli.conftest import Cloud, as_administrator

pytestmark = pytest.mark.system


def furnish(cloud: Cloud) -> None:
    """A server with an attached volume that has a snapshot, on a network, in the project `leaver`."""
    admin = ("admin", "--user", "admin", "--project", "leaver")
    for words in (("project", "create", "leaver"), ("role", "grant", *admin)):
        said = as_administrator(cloud, *words)
        assert said.status == 0, said.err
    file = cloud.home / "leaver.raw"
    file.write_bytes(b"\1" * (1 << 16))
    for words in (
        ("network", "create", "net"),
        ("subnet", "create", "net-v4", "--network", "net", "--cidr", "10.9.0.0/24"),
        ("image", "upload", str(file), "--name", "disk", "--format", "raw"),
        ("volume", "create", "data", "--size-gib", "1", "--wait"),
        ("snapshot", "create", "before", "--volume", "data", "--wait"),
        ("server", "create", "s", "--flavor", "tiny", "--image", "disk", "--network", "net", "--wait"),
        ("server", "attach-volume", "s", "--volume", "data", "--wait"),
    ):
        said = cloud.run("--project", "leaver", *words)
        assert said.status == 0, (words, said.err)


def test_a_project_goes_with_all_it_has_and_another_keeps_its_own(cloud: Cloud) -> None:
    furnish(cloud)
    kept = cloud.made("volume", "create", "kept", "--size-gib", "1", "--wait")
    held = as_administrator(cloud, "project", "show-holdings", "leaver", "-o", "json").json["holdings"]
    assert {"server", "volume", "snapshot", "image", "network"} <= {each["type"] for each in held}
    purged = as_administrator(cloud, "project", "purge", "leaver", "--delete-project", "--wait")
    assert purged.status == 0, purged.err
    assert "delete servers" in purged.err
    assert as_administrator(cloud, "project", "show", "leaver").status == 3
    for resource in ("server", "volume", "snapshot", "network"):
        left = as_administrator(cloud, resource, "list", "-o", "json").json
        assert not {each["id"] for each in left} & {each["id"] for each in held}, resource
    assert cloud.run("volume", "delete", kept, "--wait").status == 0
