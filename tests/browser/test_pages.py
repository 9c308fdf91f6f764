"""Pages in a real Chromium: on a phone, without JavaScript, for everybody.

Without a Chromium these tests are skipped and say so; CI installs one, and fails
without it.
"""

import os
import shutil
from collections.abc import Iterator

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, sync_playwright

from tests.journey.test_newcomer import Site, free_port

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
WCAG = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]
PATHS = [
    "/",
    "/conditions/",
    "/articles/muscle-twitching/",
    "/articles/muscle-twitching/review/",
    "/about/terms/",
    "/newsletter/",
    "/trust/",
    "/dev/mail/",
    "/nothing-here/",
]
pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(
        CHROMIUM is None and not os.environ.get("CI"),
        reason="there is no chromium on this machine (apt-get install chromium)",
    ),
]


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    running = Site(tmp_path_factory.mktemp("site") / "var", free_port())
    try:
        yield running
    finally:
        running.stop()


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(
            executable_path=CHROMIUM,
            args=["--no-sandbox", "--disable-gpu", "--disable-background-networking"],
        )
        yield chromium
        chromium.close()


def opened(browser: Browser, url: str, **context: object) -> tuple[Page, list[str]]:
    """The page and what its console complained about while it loaded."""
    page = browser.new_context(**context).new_page()  # type: ignore[arg-type]
    complaints: list[str] = []
    page.on("console", lambda message: complaints.append(message.text))
    page.on("requestfailed", lambda request: complaints.append(request.url))
    page.goto(url)
    return page, complaints


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [320, 1280])
def test_a1_axe_finds_nothing(
    site: Site, browser: Browser, path: str, scheme: str, width: int
) -> None:
    page, _ = opened(
        browser,
        site.url + path,
        color_scheme=scheme,
        viewport={"width": width, "height": 800},
    )

    found = Axe().run(page, options={"runOnly": {"type": "tag", "values": WCAG}})

    assert found.violations_count == 0, found.generate_report()
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    page.context.close()


@pytest.mark.parametrize("path", [path for path in PATHS if path != "/nothing-here/"])
def test_w3_the_console_is_silent_and_nothing_comes_from_elsewhere(
    site: Site, browser: Browser, path: str
) -> None:
    asked: list[str] = []
    context = browser.new_context()
    page = context.new_page()
    complaints: list[str] = []
    page.on("console", lambda message: complaints.append(message.text))
    page.on("request", lambda request: asked.append(request.url))

    page.goto(site.url + path)

    assert complaints == []
    assert [url for url in asked if not url.startswith(site.url)] == []
    assert context.cookies() == []
    context.close()


def test_a3_a_wrong_address_is_kept_and_explained_without_javascript(
    site: Site, browser: Browser
) -> None:
    page, _ = opened(
        browser,
        site.url + "/articles/muscle-twitching/",
        java_script_enabled=False,
        viewport={"width": 320, "height": 800},
    )

    page.fill("input[name=email]", "rosa@")
    page.get_by_role("button", name="Subscribe").click()

    field = page.locator("input[name=email]")
    assert field.input_value() == "rosa@"
    assert field.get_attribute("aria-invalid") == "true"
    described_by = field.get_attribute("aria-describedby") or ""
    explained = [page.locator(f"#{one}").inner_text() for one in described_by.split()]
    assert any("Enter an email address" in text for text in explained)
    page.context.close()


def test_a2_the_keyboard_reaches_the_subscribe_button(
    site: Site, browser: Browser
) -> None:
    page, _ = opened(browser, site.url + "/newsletter/")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.textContent") == "Skip to main content"
    page.focus("input[name=email]")
    page.keyboard.type("keyboard@example.com")

    page.keyboard.press("Enter")

    page.get_by_role("heading", name="Check your inbox").wait_for()
    page.context.close()
