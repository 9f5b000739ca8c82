"""What the documentation says of the dialects is what they answer, and what the judges said."""

from tests.compat.page import PAGE, page


def test_the_page_lists_the_routes_as_they_are() -> None:
    assert PAGE.read_text() == page(), "make it anew: python -m tests.compat.page"
