"""A subscriber's whole way in a real Chromium: on a phone, by the keyboard alone."""

import json
import re
from collections.abc import Iterator
from datetime import timedelta
from itertools import count

import pytest
from axe_playwright_python.sync_playwright import Axe
from django.utils import timezone
from playwright.sync_api import Browser, Page

from tests.browser.test_pages import WCAG, browser, pytestmark, site
from tests.journey.test_newcomer import Site, wait_for

__all__ = ["browser", "pytestmark", "site"]

WIDTH = 390
# Longer than any of these pages: whoever has not got there by then never will.
MOST_TABS = 250
FOCUSED = """
name => {
  const here = document.activeElement;
  const texts = [here, ...(here.labels || [])].map(one => one.textContent.trim());
  return here !== document.body && texts.some(text => text.startsWith(name));
}
"""
_people = count(1)


class Subscriber:
    """Somebody with a phone, a mailbox and no pointing device; counts their steps."""

    def __init__(self, site: Site, page: Page, *, looks: bool) -> None:
        self.site, self.page, self._looks = site, page, looks
        self.address = f"reader-{next(_people)}@example.com"
        self.steps = 0

    def open(self, path: str) -> None:
        self.page.goto(self.site.url + path)
        self.steps += 1

    def reach(self, name: str) -> None:
        """Tab to what is called so."""
        for _ in range(MOST_TABS):
            self.page.keyboard.press("Tab")
            if self.page.evaluate(FOCUSED, name):
                return
        pytest.fail(f"the keyboard does not reach “{name}” on {self.page.title()}")

    def press(self, name: str, heading: str) -> None:
        """Press a link or button, and arrive at the page with that heading."""
        self.reach(name)
        self.page.keyboard.press("Enter")
        self.page.get_by_role("heading", name=heading, exact=True, level=1).wait_for()
        self.steps += 1
        self.look()

    def type(self, label: str, text: str) -> None:
        self.reach(label)
        self.page.keyboard.type(text)
        self.steps += 1

    def open_mail(self, kind: str, *, to: str = "") -> None:
        """Follow the link of a kind in the newest mail, from its plain text."""
        number, link = wait_for(
            lambda: self._newest(kind, to or self.address), f"a mail with a {kind} link"
        )
        self.page.goto(f"{self.site.url}/dev/mail/{number}/")
        self.reach(link)
        self.page.keyboard.press("Enter")
        self.page.wait_for_url(link)
        self.steps += 1
        self.look()

    def _newest(self, kind: str, to: str) -> tuple[int, str] | None:
        for number, mail in reversed(list(enumerate(self.site.mails(), start=1))):
            plain = mail.get_body(("plain",))
            text = str(plain.get_content()) if plain else ""
            found = re.search(rf"http\S+/newsletter/{kind}/[^/\s]+/", text)
            if str(mail["To"]).strip("<>") == to and found:
                return number, found[0]
        return None

    def look(self) -> None:
        """The page is for everybody, by day and by night, and nothing sticks out."""
        if not self._looks:
            return
        for scheme in ("light", "dark"):
            self.page.emulate_media(color_scheme=scheme)
            rules = {"runOnly": {"type": "tag", "values": WCAG}}
            found = Axe().run(self.page, options=rules)
            assert found.violations_count == 0, found.generate_report()
        wide = self.page.evaluate("document.documentElement.scrollWidth")
        assert wide <= WIDTH, self.page.title()

    def says(self, words: str) -> None:
        assert words in " ".join(self.page.inner_text("main").split())

    def subscribe(self) -> None:
        self.open("/newsletter/")
        self.type("Your email address", self.address)
        self.press("Subscribe", "Check your inbox")
        self.open_mail("confirm")
        self.press("Yes, confirm my subscription", "You are on the list")

    def ask_for_link(self, address: str) -> None:
        self.type("Your email address", address)
        self.press("Send me a link", "Look in your inbox")
        self.open_mail("preferences", to=address)
        self.says("Your preferences")


@pytest.fixture(params=["with JavaScript", "without JavaScript"])
def rosa(
    site: Site, browser: Browser, request: pytest.FixtureRequest
) -> Iterator[Subscriber]:
    scripted = request.param == "with JavaScript"
    context = browser.new_context(
        viewport={"width": WIDTH, "height": 844}, java_script_enabled=scripted
    )
    # axe is a script itself.
    yield Subscriber(site, context.new_page(), looks=scripted)
    context.close()


def test_a_subscriber_rules_by_the_keyboard_alone(rosa: Subscriber) -> None:
    page, new = rosa.page, f"new-{rosa.address}"
    rosa.subscribe()
    rosa.press("ask for a link to your preferences", "Change how often we write")
    rosa.ask_for_link(rosa.address)

    rosa.reach("Eyes and face")
    page.keyboard.press("Space")
    rosa.reach("Every week")
    page.keyboard.press("ArrowDown")
    rosa.reach("Your time zone")
    page.keyboard.type("Berlin")
    rosa.type("Pause until", f"{timezone.now() + timedelta(days=30):%m%d%Y}")
    rosa.press("Save", "Your preferences")
    rosa.says("Saved. Your next tip is due on")
    rosa.says("(Berlin time)")
    assert page.get_by_label("Eyes and face").is_checked()
    assert page.get_by_label("Once a month").is_checked()
    rosa.press("Start again now", "Your preferences")
    rosa.says("Your pause is over.")

    rosa.press("What you agreed to", "What you agreed to")
    rosa.says("By clicking “Subscribe” you agree to our Terms of Use")
    rosa.says("You confirmed it from your mailbox")
    rosa.press("Read the Terms of Use as they were then", "Terms of Use")
    rosa.press("Back to what you agreed to", "What you agreed to")
    rosa.press("Back to your preferences", "Your preferences")

    rosa.press("Change your address", "Change your address")
    rosa.type("Your new email address", "rosa@")
    rosa.press("Send a link there", "Change your address")
    rosa.says("Enter an email address, like name@example.com.")
    rosa.reach("Your new email address")
    page.keyboard.press("Control+A")
    page.keyboard.type(new)
    rosa.press("Send a link there", "Look in the new inbox")
    rosa.open_mail("move", to=new)
    rosa.press("Yes, use this address", "You have moved")

    rosa.press("ask for a fresh link", "Change how often we write")
    rosa.ask_for_link(new)
    own = page.url
    rosa.press("Take your data along", "Take your data along")
    with page.expect_download() as downloading:
        rosa.reach("Download my data")
        page.keyboard.press("Enter")
    known = json.loads(downloading.value.path().read_bytes())
    assert known["profile"]["address"] == new
    assert known["profile"]["topics"] == ["eyes-and-face"]
    assert known["profile"]["frequency"] == "monthly"

    rosa.press("Back to your preferences", "Your preferences")
    rosa.press("Erase everything", "Erase everything?")
    rosa.press("Erase everything about me", "You are forgotten")
    page.goto(own)
    rosa.says("This link does not work any more")
    rosa.look()
    assert page.context.cookies() == []


def test_e6_withdrawing_takes_no_more_steps_than_giving(rosa: Subscriber) -> None:
    rosa.subscribe()
    giving, rosa.steps = rosa.steps, 0

    rosa.open_mail("unsubscribe")
    rosa.press("Unsubscribe", "You have left the list")

    assert (rosa.steps, giving) == (2, 5)
    rosa.press("Tips came too often", "You have left the list")
    rosa.says("Thank you for telling us.")


def test_what_is_milder_stands_below_and_leaves_the_rest(rosa: Subscriber) -> None:
    rosa.subscribe()

    rosa.open_mail("unsubscribe")
    leaving = rosa.page.url
    rosa.press("Only once a month", "One tip a month")
    rosa.page.goto(leaving)
    rosa.press("Pause for 4 weeks", "You are having a pause")
    rosa.press("Unsubscribe", "Leave the list?")

    assert rosa.page.get_by_role("button", name="Only once a month").count() == 0


def test_e6_nothing_is_ticked_beforehand_where_consent_is_given(
    site: Site, browser: Browser
) -> None:
    page = browser.new_context().new_page()

    for path in ("/newsletter/", "/articles/muscle-twitching/", "/"):
        page.goto(site.url + path)
        assert page.locator("input:checked").count() == 0

    page.context.close()
