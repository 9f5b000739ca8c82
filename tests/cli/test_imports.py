"""`weft image import`, and `weft operation` on what it begins, on a real cloud."""

import pytest

from tests.cli.conftest import Cloud

pytestmark = pytest.mark.system


def test_an_import_is_begun_followed_and_refused_for_what_it_is(cloud: Cloud) -> None:
    image = cloud.made("image", "create", "imported", "--disk-format", "raw")
    inside = cloud.run("image", "import", "imported", "--uri", "http://127.0.0.1/disk", "--wait")
    assert inside.status == 1, inside.err
    assert "fetches from" in inside.err
    named = cloud.run("image", "import", "imported", "--uri", "http://localhost/disk", "--wait")
    assert named.status == 1, named.err
    assert "fetch content" in named.err
    assert "SOURCE_REFUSED" in named.err
    listed = cloud.run("operation", "list", "--target", image, "-o", "json").json
    assert [(each["kind"], each["state"]) for each in listed] == [("image.import", "FAILED")]
    shown = cloud.run("operation", "show", listed[0]["id"], "-o", "json").json
    assert shown["target_id"] == image
    left = cloud.run("image", "show", image, "-o", "json").json
    assert left["status"] == "QUEUED"
    assert "localhost" in left["status_reason"]
    assert cloud.run("image", "delete", image).status == 0
