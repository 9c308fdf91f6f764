"""The admin says when tips go out and why one waits."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from pytest_django import Settings

from articles.models import Article
from articles.publishing import withdraw
from newsletter.models import HealthTip
from newsletter.scheduling import start_due_issues
from tests.articles.test_desk import browser
from tests.newsletter.slots import (
    approved_article,
    approved_tip,
    on_new_year,
    subscriber,
    utc,
    weekly,
    written_tip,
)
from tests.people import person

TIPS = "/admin/newsletter/healthtip/"


@pytest.fixture(autouse=True)
def site(db: None, settings: Settings, tmp_path: Path) -> Iterator[Article]:
    settings.STATIC_ROOT = tmp_path
    yield from on_new_year()


@pytest.fixture
def nadia(site: Article) -> Client:
    return browser(person("nadia", "newsletter manager"))


def shown(client: Client, path: str) -> str:
    return " ".join(client.get(path).content.decode().split())


def test_the_list_of_tips_says_why_one_waits(nadia: Client) -> None:
    approved_article("eyelid-twitch")
    approved_tip("held", "eyelid-twitch")
    approved_tip("ready")
    HealthTip.objects.create(slug="empty", position=9)
    withdraw(Article.objects.get(slug="eyelid-twitch"), reason="Wrong.")

    page = shown(nadia, TIPS)

    assert (
        "Not yet. The article eyelid-twitch, which it relies on, is not on the site."
        in page
    )
    assert "Not yet. Nothing is written yet." in page
    assert page.count('field-outlook">Yes<') == 1


def test_a_tip_s_own_page_says_so_too(nadia: Client) -> None:
    revision = written_tip()

    page = shown(nadia, f"{TIPS}{revision.tip_id}/change/")

    assert "Not yet. No clinician has approved its newest text yet." in page


def test_the_list_of_tips_says_when_one_was_sent(nadia: Client) -> None:
    approved_tip()
    weekly()
    subscriber("rosa")
    assert 'field-sent">never<' in shown(nadia, TIPS)

    start_due_issues(utc("2026-01-05 18:00"))

    assert 'field-sent">6 January 2026<' in shown(nadia, TIPS)


def test_the_list_of_tips_asks_no_more_for_more_tips(nadia: Client) -> None:
    def queries() -> int:
        with CaptureQueriesContext(connection) as asked:
            assert nadia.get(TIPS).status_code == 200
        return len(asked)

    approved_tip("one")
    queries()
    before = queries()
    for number in range(5):
        approved_article(f"article-{number}")
        approved_tip(f"tip-{number}", f"article-{number}")

    assert queries() == before


def test_a_schedule_shows_its_next_slots(nadia: Client) -> None:
    approved_tip("rest")
    plan = weekly()
    address = f"/admin/newsletter/schedule/{plan.pk}/change/"

    page = shown(nadia, address)

    for day in (6, 13, 20, 27):
        slot = f"Tuesday {day} January 2026 at 09:00 on each person’s own clock"
        assert slot in page
    assert page.count("(prepared on Monday at 18:00 UTC)") == 4
    assert "1 tip is ready to go out. Next comes “Rest”." in page
    assert "Tuesday 6 January 2026 at 09:00" in shown(
        nadia, "/admin/newsletter/schedule/"
    )


def test_a_schedule_without_a_tip_or_at_rest_says_so(nadia: Client) -> None:
    plan = weekly()
    address = f"/admin/newsletter/schedule/{plan.pk}/change/"
    assert "No tip is ready to go out." in shown(nadia, address)

    plan.active = False
    plan.save()

    assert "this schedule is not active" in shown(nadia, address)
