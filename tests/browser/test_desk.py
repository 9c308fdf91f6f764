"""The desks in a real Chromium: an editor and a clinician at work."""

import re

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, BrowserContext, Page, Route

from tests.browser.test_pages import WCAG, browser, pytestmark, site
from tests.journey.test_newcomer import Site

__all__ = ["browser", "pytestmark", "site"]

ARTICLE = "/admin/articles/article/1/"
OTHER_ARTICLE = "/admin/articles/article/7/"
THIRD_ARTICLE = "/admin/articles/article/6/"
FOURTH_ARTICLE = "/admin/articles/article/9/"
EDITORS = [
    "/admin/",
    "/admin/articles/article/",
    f"{ARTICLE}change/",
    f"{ARTICLE}do/withdraw/",
    "/admin/articles/revision/1/change/",
    "/admin/articles/revision/1/do/submit/",
    "/admin/articles/revision/1/do/schedule/",
    "/admin/articles/revision/1/preview/",
    "/admin/articles/picture/add/",
]
CLINICIANS = [
    "/admin/review/reviewrequest/",
    "/admin/review/signoff/",
    "/admin/review/signoff/1/change/",
    "/admin/review/signoff/1/do/retract/",
]
OPERATORS = [
    "/admin/newsletter/leavingreason/",
    "/admin/newsletter/leavingreason/?by=week",
    "/admin/newsletter/subscriber/",
    "/admin/newsletter/wording/",
    "/admin/newsletter/subscriberaccess/",
]
PHONE, DESKTOP = (320, "dark"), (1280, "light")
LOOKS = [
    *(("editor", path, *PHONE) for path in EDITORS),
    *(("clinician", path, *PHONE) for path in CLINICIANS),
    *(("operator", path, *PHONE) for path in OPERATORS),
    ("operator", OPERATORS[0], *DESKTOP),
    *(("editor", path, *DESKTOP) for path in EDITORS[1:3]),
    *(("clinician", path, *DESKTOP) for path in CLINICIANS[:2]),
]


def signed_in(site: Site, browser: Browser, role: str) -> BrowserContext:
    """A browser in which the demonstration's person of this role has logged in."""
    row = re.search(rf"^ *{role} +(\S+) +(\S+)$", site.printed, re.MULTILINE)
    assert row is not None
    context = browser.new_context()
    page = context.new_page()
    page.goto(f"{site.url}/admin/login/?next=/admin/")
    page.fill("#id_username", row[1])
    page.fill("#id_password", row[2])
    page.click("input[type=submit]")
    page.close()
    return context


@pytest.fixture(scope="module")
def contexts(site: Site, browser: Browser) -> dict[str, BrowserContext]:
    roles = ("editor", "clinician", "operator")
    return {role: signed_in(site, browser, role) for role in roles}


def page_of(contexts: dict[str, BrowserContext], role: str, width: int = 1280) -> Page:
    page = contexts[role].new_page()
    page.set_viewport_size({"width": width, "height": 900})
    return page


@pytest.mark.parametrize(("role", "path", "width", "scheme"), LOOKS)
def test_a1_axe_finds_nothing_on_the_desks(
    site: Site,
    contexts: dict[str, BrowserContext],
    role: str,
    path: str,
    width: int,
    scheme: str,
) -> None:
    page = page_of(contexts, role, width)
    page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
    complaints: list[str] = []
    page.on("console", lambda message: complaints.append(message.text))
    page.goto(site.url + path)
    assert complaints == []

    found = Axe().run(page, options={"runOnly": {"type": "tag", "values": WCAG}})

    assert found.violations_count == 0, found.generate_report()
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    page.close()


def test_a_text_goes_from_the_editor_to_the_clinician_to_the_site(
    site: Site, contexts: dict[str, BrowserContext]
) -> None:
    edith = page_of(contexts, "editor")
    edith.goto(f"{site.url}{ARTICLE}do/write/")
    edith.click("input[value='Start writing']")
    kept = edith.input_value("#id_summary")
    edith.fill("#id_summary", f"{kept} Take 50 mg.")
    edith.get_by_text("Kept at").wait_for()
    edith.click("input[value='Save as a revision']")
    assert "Look closely" in edith.inner_text("#content")
    edith.get_by_role("link", name="Submit for review").click()
    edith.select_option("#id_assignee", index=1)
    edith.click("input[value='Submit for review']")
    edith.get_by_role("link", name="Publish", exact=True).click()
    edith.click("input[value='Publish']")
    assert "no clinician has approved it yet" in edith.inner_text(".errornote")

    carla = page_of(contexts, "clinician", 320)
    carla.goto(f"{site.url}/admin/review/reviewrequest/?whose=mine")
    carla.click(".field-title a")
    carla.get_by_role("link", name="Give a verdict").click()
    changed = carla.locator(".diff").first.locator("ins", has_text="50 mg")
    # The page may still be on its way.
    changed.wait_for()
    assert changed.count() == 1
    carla.check("input[value=approved]")
    carla.fill("#id_conflicts_of_interest", "none")
    carla.click("input[value='Give a verdict']")
    assert "holds for exactly this text" in carla.inner_text(".messagelist")

    edith.click("input[value='Publish']")
    edith.get_by_text("Readers see revision").wait_for()
    edith.goto(f"{site.url}{ARTICLE}change/")
    edith.get_by_role("link", name="See the page as readers do").click()
    assert "Take 50 mg." in edith.inner_text("main")
    edith.close()
    carla.close()


def test_what_is_typed_before_the_script_has_come_is_kept_too(
    site: Site, contexts: dict[str, BrowserContext]
) -> None:
    edith = page_of(contexts, "editor")
    held: list[Route] = []
    edith.route("**/autosave*.js", lambda route: held.append(route))
    edith.goto(f"{site.url}{OTHER_ARTICLE}do/write/")
    with edith.expect_request("**/autosave*.js"):
        edith.click("input[value='Start writing']", no_wait_after=True)
    edith.fill("#id_summary", "Typed at once.")

    held[0].continue_()

    edith.get_by_text("Kept at").wait_for()
    edith.close()


def test_a_draft_that_another_window_saved_loses_nothing_here(
    site: Site, contexts: dict[str, BrowserContext]
) -> None:
    edith, second = page_of(contexts, "editor"), page_of(contexts, "editor")
    edith.goto(f"{site.url}{THIRD_ARTICLE}do/write/")
    edith.click("input[value='Start writing']")
    second.goto(edith.url)
    edith.fill("#id_summary", "From the first window.")
    edith.click("input[value='Save as a revision']")
    edith.get_by_text("is made").wait_for()

    second.fill("#id_summary", "Typed in the second window.")
    second.get_by_text("saved or discarded in another window").wait_for()
    second.click("input[value='Save as a revision']")
    second.locator(".errornote").wait_for()
    assert second.input_value("#id_summary") == "Typed in the second window."
    second.click("input[value='Save as a revision']")
    second.get_by_text("is made").wait_for()
    edith.close()
    second.close()


def test_an_answer_that_is_no_answer_is_told_from_a_missing_site(
    site: Site, contexts: dict[str, BrowserContext]
) -> None:
    edith = page_of(contexts, "editor")
    edith.goto(f"{site.url}{FOURTH_ARTICLE}do/write/")
    edith.click("input[value='Start writing']")
    edith.get_by_label("Summary").wait_for()
    edith.route(
        edith.url, lambda route: route.fulfill(status=500, content_type="text/html")
    )
    edith.fill("#id_summary", "Typed while it fails.")
    edith.get_by_text("couldn’t take it just now").wait_for()
    edith.unroute(edith.url)
    edith.route(edith.url, lambda route: route.abort())
    edith.fill("#id_summary", "Typed while it is away.")
    edith.get_by_text("can’t be reached").wait_for()
    edith.close()
