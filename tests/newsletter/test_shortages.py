"""Who keeps the queue of tips hears a week ahead that none is left, once."""

from collections.abc import Iterator
from datetime import timedelta
from functools import partial
from typing import Any

import pytest

from articles.models import Article
from articles.publishing import withdraw
from mail import Delivery
from newsletter import choosing
from newsletter.models import Schedule, TipShortage
from newsletter.scheduling import start_due_issues
from newsletter.shortages import AHEAD, warn
from review import SignOff
from tests.newsletter.slots import (
    DAY,
    NEW_YEAR,
    WEEK,
    approved_tip,
    on_new_year,
    subscriber,
    utc,
    verdict,
    weekly,
    written_tip,
)
from tests.people import carla, edith, person
from tests.racing import at_once, leaves_nothing_behind

SECOND = timedelta(seconds=1)
HOUR = timedelta(hours=1)
OPENS = utc("2026-01-05 18:00")


def staff() -> None:
    edith()
    person("nadia", "newsletter manager")
    person("otto", "operator")
    person("gone", "editor", is_active=False)
    carla()


@pytest.fixture
def site(db: None) -> Iterator[Article]:
    for article in on_new_year():
        staff()
        yield article


@pytest.fixture
def committed_site(cloned_database: str) -> Iterator[Article]:
    for article in on_new_year():
        staff()
        yield article


def told(at: Any) -> list[str]:
    """Who is told at that time."""
    before = set(Delivery.objects.values_list("pk", flat=True))
    warn(at)
    new = Delivery.objects.exclude(pk__in=before).select_related("recipient")
    return sorted(one.recipient.address.partition("@")[0] for one in new)


def once(**changes: Any) -> Schedule:
    return weekly(repeats=False, **changes)


def test_editors_and_newsletter_managers_are_told_once(site: Article) -> None:
    once()

    assert told(NEW_YEAR) == ["edith", "nadia"]
    assert told(NEW_YEAR + HOUR) == []
    assert told(NEW_YEAR + 30 * DAY) == []


def test_they_are_told_a_week_before_the_slot_that_is_left_empty(
    site: Article,
) -> None:
    approved_tip()
    once()
    subscriber("rosa")
    assert told(OPENS - SECOND) == []

    start_due_issues(OPENS)

    assert told(OPENS) == ["edith", "nadia"]
    mail = Delivery.objects.filter(kind=Delivery.Kind.STAFF).first()
    assert mail is not None
    text = bytes(mail.message or b"").decode()
    assert "Subject: No health tip left for Tuesday 13 January 2026" in text
    assert "Tuesday 13 January 2026 at 09:00 on each person’s own clock" in text
    assert "https://health.example/admin/newsletter/healthtip/" in text


def test_a_schedule_that_begins_later_is_told_of_a_week_before(site: Article) -> None:
    starts_at = NEW_YEAR + 30 * DAY
    plan = once(starts_at=starts_at)
    opens_at = plan.opens_at(next(plan.slots_to_come(starts_at)))

    assert told(opens_at - AHEAD - SECOND) == []
    assert told(opens_at - AHEAD) == ["edith", "nadia"]


def test_a_tip_that_came_in_time_ends_it_and_the_next_time_is_told_again(
    site: Article,
) -> None:
    once()
    subscriber("rosa")
    told(NEW_YEAR)
    approved_tip()

    assert told(NEW_YEAR + DAY) == []
    assert TipShortage.objects.get().ended_at == NEW_YEAR + DAY
    start_due_issues(OPENS)
    assert told(OPENS + HOUR) == ["edith", "nadia"]
    assert TipShortage.objects.count() == 2


def test_a_tip_whose_approval_runs_out_by_then_does_not_count(site: Article) -> None:
    approved_tip(valid_for=8 * DAY)
    once()

    assert told(NEW_YEAR) == []
    assert told(NEW_YEAR + 2 * DAY) == ["edith", "nadia"]


def test_the_mail_says_what_the_tips_in_the_queue_wait_for(site: Article) -> None:
    written_tip("unsigned")
    verdict(one := written_tip("disputed"), one.tip.subject, CHANGES)
    approved_tip("held")
    withdraw(site, reason="Wrong.")
    once()

    warn(NEW_YEAR)

    text = bytes(Delivery.objects.all()[0].message or b"").decode()
    plain = " ".join(text.partition("text/html")[0].split())
    assert "- unsigned: No clinician has approved its newest text yet." in plain
    assert "- disputed: A clinician asked for changes." in plain
    assert (
        "- held: The article muscle-twitching, which it relies on, is not on the site."
        in plain
    )


CHANGES = SignOff.Verdict.CHANGES_REQUESTED


def test_a_long_list_is_cut_short(site: Article) -> None:
    for number in range(12):
        written_tip(f"tip-{number}")
    once()

    warn(NEW_YEAR)

    text = bytes(Delivery.objects.all()[0].message or b"").decode()
    plain = text.partition("text/html")[0]
    assert plain.count("- tip-") == 10
    assert "And 2 more" in plain


def test_a_schedule_that_repeats_is_short_of_tips_only_without_any(
    site: Article,
) -> None:
    weekly()

    assert told(NEW_YEAR) == ["edith", "nadia"]
    approved_tip()
    subscriber("rosa")
    start_due_issues(OPENS)
    assert told(OPENS) == []
    assert TipShortage.objects.get().ended_at == OPENS


def test_every_so_often_counts_all_slots_of_the_week(site: Article) -> None:
    plan = once(every=DAY)
    for number in range(8):
        approved_tip(f"tip-{number}")
    assert told(NEW_YEAR + SECOND) == []

    plan.every = DAY / 2
    plan.save()

    assert told(NEW_YEAR + SECOND) == ["edith", "nadia"]
    text = bytes(Delivery.objects.all()[0].message or b"").decode()
    assert "Monday 5 January 2026 at 00:00 UTC" in text


def test_a_schedule_that_rests_is_short_of_nothing(site: Article) -> None:
    once(active=False)

    assert told(NEW_YEAR) == []


def test_one_schedule_that_fails_silences_no_other(
    site: Article, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken = once(name="Broken")
    once()
    real = choosing.sendable

    def failing(schedule: Schedule, at: Any) -> Any:
        if schedule == broken:
            raise RuntimeError("a fault of one schedule")
        return real(schedule, at)

    monkeypatch.setattr(choosing, "sendable", failing)

    assert told(NEW_YEAR) == ["edith", "nadia"]


def test_told_by_four_at_once_it_is_told_once(committed_site: Article) -> None:
    once()

    ends = at_once(*[partial(warn, NEW_YEAR)] * 4)

    assert sorted(ends) == [0, 0, 0, 2]
    assert Delivery.objects.count() == 2
    assert TipShortage.objects.count() == 1


def test_a_warning_that_dies_half_way_is_told_later_and_once(
    committed_site: Article,
) -> None:
    once()

    leaves_nothing_behind(partial(warn, NEW_YEAR))

    assert Delivery.objects.count() == 2
    assert warn(NEW_YEAR + WEEK) == 0
