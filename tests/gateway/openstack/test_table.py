"""What the documentation says of the dialects is what they answer."""

from pathlib import Path

from gateway.openstack.table import page


def test_the_page_lists_the_routes_as_they_are() -> None:
    written = (Path(__file__).parents[3] / "docs" / "openstack.md").read_text()
    assert written == page(), "make it anew: python -m gateway.openstack.table > docs/openstack.md"
