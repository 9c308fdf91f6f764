"""Lists show first what needs attention and ask as often, however long they are."""

from datetime import timedelta
from pathlib import Path

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from pytest_django import Settings
from time_machine import travel

from articles import catalogue
from articles.editing import revise
from articles.models import Article, Revision
from articles.publishing import publish, publish_unsigned
from review import SignOff
from tests.articles.test_desk import HTTPS, browser
from tests.articles.test_publishing import TEXT, approve, make_article
from tests.people import edith, person


@pytest.fixture(autouse=True)
def static(settings: Settings, tmp_path: Path) -> None:
    settings.STATIC_ROOT = tmp_path


def published(slug: str) -> Revision:
    revision, _ = revise(make_article(slug), {**TEXT, "title": slug}, by=None)
    approve(revision)
    publish(revision)
    return revision


def unsigned(slug: str) -> Revision:
    boss = person("boss", is_superuser=True)
    revision, _ = revise(make_article(slug), {**TEXT, "title": slug}, by=None)
    publish_unsigned(revision, by=boss, reason="An urgent warning.")
    return revision


def listed(query: str = "") -> list[str]:
    page = browser(edith()).get(f"/admin/articles/article/?{query}")
    rows = page.context["cl"].result_list
    return [one.slug for one in rows]


def test_m2_the_list_shows_first_what_needs_attention(db: None) -> None:
    make_article("never-published")
    make_article("a-policy", kind=Article.Kind.POLICY, section=None)
    published("b-current")
    approve(published("c-retracted"), SignOff.Verdict.RETRACTED)
    unsigned("d-unsigned")

    assert listed() == [
        *("c-retracted", "d-unsigned", "a-policy", "b-current", "never-published"),
    ]


@pytest.mark.parametrize(
    ("days", "state"),
    [(1, "current"), (340, "due soon"), (366, "overdue"), (500, "lapsed")],
)
def test_m2_the_list_is_filtered_by_standing(db: None, days: int, state: str) -> None:
    make_article("never-published")
    published("muscle-twitching")

    later = timedelta(days=days)
    with travel(published("lips").created_at + later, tick=False):
        found = {
            one: listed(f"standing={one.replace(' ', '+')}")
            for one in ("unsigned", "current", "due soon", "overdue", "lapsed")
        }

    assert {one for one, slugs in found.items() if slugs} == {state}
    assert set(found[state]) == {"muscle-twitching", "lips"}


def test_tips_are_filtered_by_standing(db: None) -> None:
    nadia = browser(person("nadia", "newsletter manager"))

    page = nadia.get("/admin/newsletter/healthtip/?standing=overdue")

    assert page.status_code == 200


def queries(path: str, who: Client) -> int:
    with CaptureQueriesContext(connection) as asked:
        assert who.get(path).status_code == 200
    return len(asked)


def test_no_list_asks_more_for_more_texts(db: None) -> None:
    reader, ediths = Client(headers=HTTPS), browser(edith())
    first = published("one")
    unsigned("u1")
    desk = reverse("admin:articles_article_change", args=[first.article_id])
    pages = [
        *(("/feeds/conditions.atom", reader), ("/trust/", reader)),
        *((desk, ediths), ("/admin/articles/article/", ediths)),
    ]
    for path, who in pages:
        queries(path, who)
    before = [queries(path, who) for path, who in pages]

    for number in range(5):
        published(f"p{number}")
        unsigned(f"n{number}")
        revise(first.article, {**TEXT, "title": f"t{number}"}, by=edith())

    assert [queries(path, who) for path, who in pages] == before
    assert len(catalogue.unsigned_pages()) == 6


def test_the_feed_believes_the_text_and_no_column(db: None) -> None:
    revision = published("one")
    approve(revision, SignOff.Verdict.RETRACTED)

    feed = Client(headers=HTTPS).get("/feeds/conditions.atom").content.decode()

    assert "This text is not medically reviewed." in feed
    assert "/articles/one/" in feed
