"""The pages in a real browser: log in, recent work, one trace as a waterfall, the API's documentation."""

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright

from tests.gateway.conftest import Cloud

CHROMIUM = Path("/usr/bin/chromium")
# As root and without the network: nothing of the browser's own is fetched or updated.
ARGUMENTS = [
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
]  # fmt: skip

pytestmark = [
    pytest.mark.system,
    pytest.mark.skipif(not CHROMIUM.exists(), reason="Debian's chromium is not installed: make env-test"),
]


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Debian's chromium."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=str(CHROMIUM), args=ARGUMENTS)
        yield browser
        browser.close()


@pytest.fixture
def page(cloud: Cloud, browser: Browser) -> Iterator[Page]:
    """A page that remembers nothing; it must not complain of anything."""
    page = browser.new_page(base_url=cloud.url, ignore_https_errors=True)
    page.set_default_timeout(60_000)
    complaints: list[str] = []
    page.on("pageerror", lambda error: complaints.append(str(error)))
    yield page
    page.close()
    assert complaints == []


def log_in(page: Page, cloud: Cloud, password: str) -> None:
    page.goto("/")
    page.fill("[name=user]", "admin")
    page.fill("[name=password]", password)
    page.click("#login button")


def test_a_wrong_password_is_said_and_nothing_else_is_shown(cloud: Cloud, page: Page) -> None:
    log_in(page, cloud, "wrong")
    page.wait_for_selector("#login .error:not(:empty)")
    assert page.is_visible("#login")
    assert not page.is_visible("#list")


def test_recent_work_is_listed_and_one_trace_is_drawn_as_a_waterfall(
    cloud: Cloud, page: Page, admin: httpx.Client
) -> None:
    image = admin.post("/image/v1/images", json={"disk_format": "DISK_FORMAT_RAW"}).json()
    admin.delete(f"/image/v1/images/{image['id']}", params={"expected_revision": 99})
    log_in(page, cloud, cloud.password)
    page.wait_for_selector("#list:not([hidden])")
    assert not page.is_visible("#login")
    page.uncheck("#operations")
    page.fill("#resource", image["id"])
    page.press("#resource", "Enter")
    expect(page.locator("#list tbody tr")).to_have_count(2)
    page.click("#list tbody tr.failed a")
    page.wait_for_selector(".waterfall .row.failed")
    names = page.locator(".waterfall .name").all_inner_texts()
    assert names[0].startswith(f"DELETE /image/v1/images/{image['id']}")
    assert any("ImageService/DeleteImage" in name for name in names)
    page.click(".waterfall .row.failed summary >> nth=0")
    assert "revision" in page.locator(".waterfall .row.failed .details").first.inner_text()
    bars = page.locator(".waterfall .bar").evaluate_all("all => all.map(bar => bar.offsetWidth)")
    assert all(width >= 2 for width in bars)


def test_what_a_span_says_is_shown_as_text_and_never_run(
    cloud: Cloud, page: Page, admin: httpx.Client
) -> None:
    admin.get("/image/v1/images", params={"name": "<img src=x onerror=alert(1)>"})
    log_in(page, cloud, cloud.password)
    page.uncheck("#operations")
    page.wait_for_selector("#list tbody tr")
    assert page.locator("main img").count() == 0


def test_logging_out_forgets_the_token(cloud: Cloud, page: Page) -> None:
    log_in(page, cloud, cloud.password)
    page.wait_for_selector("#list:not([hidden])")
    assert page.evaluate("sessionStorage.length") == 1
    page.click("#logout")
    page.wait_for_selector("#login:not([hidden])")
    assert page.evaluate("sessionStorage.length") == 0


def test_the_documentation_lists_the_services(page: Page) -> None:
    page.goto("/docs")
    page.wait_for_selector(".opblock-tag")
    assert "weft.compute.v1.ServerService" in page.inner_text("#api")
