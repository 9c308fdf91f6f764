"""What the box takes in: people's wishes, in their own words, and nothing else."""

import re
from datetime import timedelta
from html.parser import HTMLParser
from pathlib import Path

import pytest
from django.conf import settings as site
from django.contrib.auth.models import Permission
from django.http import HttpResponse
from django.test import Client
from django.utils import timezone
from pytest_django import Settings

from articles.editing import revise
from articles.models import Article, Section
from articles.publishing import publish_unsigned
from mail import Recipient
from newsletter import wording
from newsletter.models import ConsentEvent, SignUp
from newsletter.subscribing import confirm, resolve_sign_ups
from tests.newsletter.test_subscribing import (
    ROSA,
    link,
    policies,  # noqa: F401 - a fixture
    subscribe,
)
from tests.people import edith

PAGES = ("/", "/newsletter/", "/articles/eyelid-twitch/", "/conditions/")
KINDS = ("new", "pending", "confirmed", "left", "bounced", "complained", "blocked")


@pytest.fixture
def browser(
    policies: None,  # noqa: F811
    settings: Settings,
    tmp_path: Path,
) -> Client:
    settings.STATIC_ROOT = tmp_path
    return Client(headers={"X-Forwarded-Proto": "https"})


@pytest.fixture
def article(policies: None) -> Article:  # noqa: F811
    section = Section.objects.create(slug="conditions", title="Health Conditions")
    made = Article.objects.create(
        slug="eyelid-twitch", kind=Article.Kind.SYMPTOM, section=section
    )
    content = {"title": "Eyelid twitch", "summary": "s", "body": "<p>Rest.</p>"}
    revision, _ = revise(made, content, by=None)
    editor = edith()
    allowed = Permission.objects.get(codename="publish_unsigned")
    editor.user_permissions.add(allowed)
    publish_unsigned(revision, by=editor, reason="for the test")
    return made


class Box(HTMLParser):
    """The form of a page that posts to /newsletter/: its fields, and its words."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.fields: dict[str, dict[str, str | None]] = {}
        self.words = ""
        self._inside = False
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        if tag == "form":
            self._inside = given.get("action") == "/newsletter/"
        elif self._inside and tag in ("input", "select", "textarea"):
            self.fields[str(given["name"])] = given

    def handle_endtag(self, tag: str) -> None:
        self._inside = self._inside and tag != "form"

    def handle_data(self, data: str) -> None:
        if self._inside:
            self.words += data


def post(browser: Client, **fields: str) -> HttpResponse:
    return browser.post("/newsletter/", fields)  # type: ignore[return-value]


def told(answer: HttpResponse) -> str:
    """The headers, but for the second it was written in."""
    known = {name: value for name, value in answer.items() if name != "Expires"}
    return str(sorted(known.items()))


def as_a(kind: str) -> str:
    """An address of this kind."""
    address = f"{kind}@example.com"
    if kind == "new":
        return address
    subscribe(address)
    if kind != "pending":
        confirm(link())
    reason = {
        "bounced": Recipient.Suppression.HARD_BOUNCE,
        "complained": Recipient.Suppression.COMPLAINT,
        "blocked": Recipient.Suppression.MANUAL,
    }.get(kind)
    if reason:
        Recipient.objects.filter(address=address).update(
            suppression=reason, suppressed_at=timezone.now() - timedelta(days=40)
        )
    return address


@pytest.mark.parametrize("path", PAGES)
def test_a_program_that_fills_in_everything_gets_the_page_and_leaves_nothing(
    browser: Client, article: Article, path: str
) -> None:
    box = Box(browser.get(path).text)
    usual = post(browser, email="ben@example.com", subject="")
    SignUp.objects.all().delete()

    answer = post(browser, **dict.fromkeys(box.fields, ROSA))

    assert set(box.fields) == {"email", "subject"}
    assert (answer.status_code, answer.content) == (200, usual.content)
    assert not SignUp.objects.exists()


@pytest.mark.parametrize("path", PAGES)
def test_people_never_meet_the_field_for_programs(
    browser: Client, article: Article, path: str
) -> None:
    page = browser.get(path).text

    field = Box(page).fields["subject"]

    assert (field["tabindex"], field["autocomplete"]) == ("-1", "off")
    assert "style" not in field
    assert "required" not in field
    assert re.search(r'<div class="trap" aria-hidden="true">\s*<label', page)
    css = (site.BASE_DIR / "static/css/site.css").read_text()
    assert ".trap{display:none}" in css


@pytest.mark.parametrize("path", PAGES)
def test_e6_nothing_is_ticked_and_the_wording_is_what_was_shown(
    browser: Client, article: Article, path: str
) -> None:
    box = Box(page := browser.get(path).text)
    came_from = f"{site.SITE_URL}{path}"

    answer = browser.post(
        "/newsletter/", {"email": ROSA}, headers={"Referer": came_from}
    )
    resolve_sign_ups()

    assert answer.status_code == 200
    assert not [one for one in box.fields.values() if "checked" in one]
    newsletter, terms = ConsentEvent.objects.order_by("pk")
    assert (newsletter.matter, terms.matter) == ("newsletter", "terms")
    assert (newsletter.terms_id, terms.wording_id) == (None, newsletter.wording_id)
    assert terms.terms_id is not None
    words = newsletter.wording
    assert words is not None
    assert words == wording.current()
    assert words.text["purpose"] in page
    assert words.text["agreement"] in " ".join(box.words.split())
    assert words.text["button"] in box.words
    assert newsletter.context.page == came_from


@pytest.mark.parametrize(
    ("came_from", "kept"),
    [
        ("/search/?q=eyelid+twitch", ""),
        ("/newsletter/?x=1", "/newsletter/"),
        ("/newsletter/unsubscribe/" + "x" * 44 + "/", ""),
        ("/nowhere/", ""),
        ("/\x00/", ""),
        ("/" + "x" * 5000, ""),
        ("", ""),
    ],
)
def test_where_it_was_said_holds_no_search_words_and_no_link(
    browser: Client, came_from: str, kept: str
) -> None:
    referer = f"{site.SITE_URL}{came_from}"

    browser.post("/newsletter/", {"email": ROSA}, headers={"Referer": referer})

    assert SignUp.objects.get().page == (kept and f"{site.SITE_URL}{kept}")


def test_another_sites_address_is_not_where_it_was_said(browser: Client) -> None:
    for referer in (
        f"{site.SITE_URL}.evil.example/",
        "https://other.example/newsletter/",
    ):
        browser.post("/newsletter/", {"email": ROSA}, headers={"Referer": referer})

    assert set(SignUp.objects.values_list("page", flat=True)) == {""}


def test_the_answer_is_the_same_to_the_byte_for_everybody(browser: Client) -> None:
    addresses = [as_a(kind) for kind in KINDS]

    answers = [post(browser, email=address) for address in addresses]

    assert {one.status_code for one in answers} == {200}
    assert len({one.content for one in answers}) == 1
    assert len({told(one) for one in answers}) == 1
    assert SignUp.objects.count() == len(KINDS)


@pytest.mark.parametrize(
    "body", ["email=a@example.com&email=b@example.com", "email=&email=a@example.com"]
)
def test_which_of_two_addresses_is_meant_is_not_guessed(
    browser: Client, body: str
) -> None:
    answer = browser.post(
        "/newsletter/", body, content_type="application/x-www-form-urlencoded"
    )

    assert answer.status_code == 422
    assert b"Enter one email address at a time." in answer.content
    assert not SignUp.objects.exists()
