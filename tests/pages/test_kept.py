"""Which pages are kept: each address of the site is asked, and what it reads."""

import re
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import URLPattern, URLResolver, get_resolver, reverse
from django.utils.http import http_date
from pytest_django import Settings
from time_machine import travel

from articles.editing import revise
from articles.models import Article, FormerSlug
from articles.publishing import correct, publish, publish_unsigned
from pages.pagestore import KEPT
from pages.public_version import UNWATCHED, WATCHED
from pages.ready import Answer
from review import SignOff
from tests.articles.signed_page import A_PICTURE, SLUG, TEXT, approved, open_site
from tests.people import edith
from twitchsite.middleware import HEADERS

HTTPS = {"X-Forwarded-Proto": "https"}
TABLES = re.compile(r'(?:FROM|JOIN) "(\w+)"')
TOKENS = re.compile(r"csrf|nonce|token", re.I)
# Addresses whose pages are not kept, and why.
PASSED_THROUGH = {
    "pages:healthz": "says how it is now",
    "pages:readyz": "says how it is now",
    "mail:hook": "providers post there",
    "newsletter:archive": "changes when an issue starts, and few come for it",
    "newsletter:archived-tip": "changes when an issue starts, and few come for it",
    **{
        f"newsletter:{name}": "one person's, by a mailed link"
        for name in (
            *("confirm", "move", "unsubscribe", "pause", "monthly", "why"),
            *("preferences", "start-again", "agreed", "agreed-terms"),
            *("change-address", "download", "erase"),
        )
    },
}


def names(
    patterns: Sequence[URLPattern | URLResolver], space: str = ""
) -> Iterator[str]:
    for one in patterns:
        if isinstance(one, URLPattern):
            yield f"{space}{one.name}"
        elif one.namespace != "admin":
            inside = f"{one.namespace}:" if one.namespace else space
            yield from names(one.url_patterns, inside)


@pytest.fixture
def addresses(db: None, settings: Settings, tmp_path: Path) -> dict[str, str]:
    """One page of every kept view, with all that can stand on it."""
    settings.STATIC_ROOT = tmp_path
    site = open_site()
    correct(site.article, note="It was 5 mg.")
    changed, _ = revise(site.article, {**TEXT, "title": "Twitching"}, by=None)
    approved(changed, site.article.subject)
    publish(changed)
    other = Article.objects.create(
        slug="lip-twitching", section=site.article.section, kind="symptom"
    )
    unsigned, _ = revise(other, {**TEXT, "title": "Lips"}, by=None)
    publish_unsigned(unsigned, by=site.edith, reason="An urgent warning.")
    Article.objects.filter(pk=site.article.pk).update(read_next=["lip-twitching"])
    FormerSlug.objects.create(slug="twitches", article=site.article)
    for slug in ("terms", "privacy"):
        policy = Article.objects.create(slug=slug, kind=Article.Kind.POLICY)
        publish(revise(policy, {**TEXT, "title": slug, "care_cards": []}, by=None)[0])
    digest = changed.digest
    arguments: dict[str, list[str]] = {
        "articles:section": ["conditions"],
        "articles:feed": ["conditions"],
        "articles:policy": ["terms"],
        "articles:picture": [A_PICTURE, "svg"],
        "articles:signed-text": [SLUG, digest],
        "articles:signed-changes": [SLUG, digest],
        **{
            f"articles:{name}": [SLUG]
            for name in ("article", "markdown", "review-record")
        },
    }
    return {name: reverse(name, args=arguments.get(name, [])) for name in KEPT}


def test_every_address_is_either_kept_or_passed_through_for_a_reason() -> None:
    found = set(names(get_resolver().url_patterns))

    assert found - set(KEPT) == set(PASSED_THROUGH)
    assert set(KEPT) <= found


def test_w5_kept_pages_are_the_same_for_everybody(addresses: dict[str, str]) -> None:
    for name, address in addresses.items():
        got = Client(headers=HTTPS).get(address)
        answer = Answer(f"{got.status_code} X", list(got.items()), got.content)

        assert got.status_code == 200, name
        assert answer.is_for_everybody(), name
        assert "Cookie" not in got.get("Vary", ""), name
        assert not got.cookies, name
        if name != "articles:picture":
            assert not TOKENS.search(got.content.decode()), name


def test_w5_kept_pages_are_the_same_for_staff(addresses: dict[str, str]) -> None:
    reader, staff = Client(headers=HTTPS), Client(headers=HTTPS)
    staff.force_login(edith())

    for address in addresses.values():
        assert reader.get(address).content == staff.get(address).content


def test_w4_kept_pages_carry_the_headers(addresses: dict[str, str]) -> None:
    for name, address in addresses.items():
        got = Client(headers=HTTPS).get(address)

        assert {one: got.headers[one] for one in HEADERS} == HEADERS, name
        assert "max-age=63072000" in got.headers["Strict-Transport-Security"], name
        assert "default-src 'none'" in got.headers["Content-Security-Policy"], name


def test_every_table_that_a_kept_page_reads_is_watched_or_excepted(
    addresses: dict[str, str],
) -> None:
    for name, address in [*addresses.items(), ("moved", "/articles/twitches/")]:
        with CaptureQueriesContext(
            connection,
        ) as asked:
            Client(headers=HTTPS).get(address)

        read = {table for one in asked for table in TABLES.findall(one["sql"])}
        assert read <= set(WATCHED) | set(UNWATCHED), name


def test_no_exception_is_left_over(addresses: dict[str, str]) -> None:
    read: set[str] = set()
    for address in addresses.values():
        with CaptureQueriesContext(connection) as asked:
            Client(headers=HTTPS).get(address)
        read |= {table for one in asked for table in TABLES.findall(one["sql"])}

    assert set(UNWATCHED) <= read
    assert all(UNWATCHED.values())


@pytest.mark.parametrize(
    "path",
    [
        "/newsletter/preferences/x/",
        "/newsletter/unsubscribe/x/",
        "/newsletter/confirm/x/",
        "/admin/login/",
    ],
)
def test_w5_pages_of_one_person_are_private(
    db: None, settings: Settings, tmp_path: Path, path: str
) -> None:
    settings.STATIC_ROOT = tmp_path

    control = Client(headers=HTTPS).get(path).headers["Cache-Control"]

    assert {"private", "no-store"} <= set(re.split(r",\s*", control))


@pytest.mark.parametrize("face", ["articles:article", "articles:markdown"])
def test_a_page_says_when_its_review_line_changes_by_itself(
    addresses: dict[str, str], face: str
) -> None:
    """Due soon 30 days before the end, overdue at the end, lapsed 90 days later."""
    ends = SignOff.objects.latest("entry").valid_until
    expected = [ends - timedelta(days=30), ends, ends + timedelta(days=90)]

    for moment in expected:
        with travel(moment - timedelta(days=1), tick=False):
            got = Client(headers=HTTPS).get(addresses[face])
        assert got.headers["Expires"] == http_date(moment.timestamp())
    with travel(ends + timedelta(days=91), tick=False):
        assert "Expires" not in Client(headers=HTTPS).get(addresses[face]).headers


def test_the_trust_page_counts_anew_every_half_minute(
    addresses: dict[str, str],
) -> None:
    with travel(datetime(2030, 1, 1, tzinfo=UTC), tick=False):
        got = Client(headers=HTTPS).get("/trust/")

    assert got.headers["Expires"] == "Tue, 01 Jan 2030 00:00:30 GMT"
