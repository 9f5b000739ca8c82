"""`weft image import`, and `weft operation` on what it begins, on a real cloud."""

import hashlib
import os

import pytest

from tests.cli.conftest import Cloud
from tests.served import served

pytestmark = pytest.mark.system


def test_an_image_is_imported_and_can_be_had(cloud: Cloud) -> None:
    data = os.urandom(100_000)
    sha256 = hashlib.sha256(data).hexdigest()
    image = cloud.made("image", "create", "fetched", "--disk-format", "raw")
    with served({"disk": data}) as web:
        words = ("image", "import", "fetched", "--uri", f"{web}/disk", "--sha256", sha256, "--wait")
        done = cloud.run(*words, "-o", "json")
    assert done.status == 0, done.err
    shown = cloud.run("image", "show", image, "-o", "json").json
    assert (shown["status"], shown["sha256"]) == ("ACTIVE", sha256)
    (operation,) = cloud.run("operation", "list", "--target", image, "-o", "json").json
    assert (operation["kind"], operation["state"]) == ("image.import", "SUCCEEDED")
    assert cloud.run("image", "delete", image).status == 0


def test_an_import_is_begun_followed_and_refused_for_what_it_is(cloud: Cloud) -> None:
    image = cloud.made("image", "create", "imported", "--disk-format", "raw")
    inside = cloud.run("image", "import", "imported", "--uri", "http://127.0.0.2/disk", "--wait")
    assert inside.status == 1, inside.err
    assert "fetches from" in inside.err
    named = cloud.run("image", "import", "imported", "--uri", "http://127.2/disk", "--wait")
    assert named.status == 1, named.err
    assert "fetch content" in named.err
    assert "SOURCE_REFUSED" in named.err
    listed = cloud.run("operation", "list", "--target", image, "-o", "json").json
    assert [(each["kind"], each["state"]) for each in listed] == [("image.import", "FAILED")]
    shown = cloud.run("operation", "show", listed[0]["id"], "-o", "json").json
    assert shown["target_id"] == image
    left = cloud.run("image", "show", image, "-o", "json").json
    assert left["status"] == "QUEUED"
    assert "127.2" in left["status_reason"]
    assert cloud.run("image", "delete", image).status == 0
