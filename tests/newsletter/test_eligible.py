"""Who gets an issue: asked when it starts; a month's first for those who want few."""

from collections.abc import Iterator
from datetime import datetime, time, timedelta

import pytest
from django.utils import timezone

from articles.models import Article
from mail import Recipient
from newsletter.models import Issue, Subscriber
from newsletter.scheduling import start_due_issues
from tests.newsletter.slots import (
    DAY,
    NEW_YEAR,
    WEEK,
    approved_tip,
    due_times,
    on_new_year,
    subscriber,
    tick,
    utc,
    weekly,
)

SECOND = timedelta(seconds=1)
SLOT = utc("2026-01-06 09:00")
OPENS = utc("2026-01-05 18:00")


@pytest.fixture(autouse=True)
def site(db: None) -> Iterator[Article]:
    for article in on_new_year():
        approved_tip()
        yield article


def monthly(name: str = "mona", zone: str = "UTC") -> Subscriber:
    return subscriber(name, zone, frequency=Subscriber.Frequency.MONTHLY)


def test_monthly_means_the_first_issue_of_each_month() -> None:
    weekly()
    mona, rosa = monthly(), subscriber("rosa")

    tick(NEW_YEAR, utc("2026-04-01 00:00"))

    assert len(due_times(rosa)) == 13
    assert due_times(mona) == [
        utc("2026-01-06 09:00"),
        utc("2026-02-03 09:00"),
        utc("2026-03-03 09:00"),
    ]


@pytest.mark.parametrize("zone", ["Pacific/Kiritimati", "UTC", "Etc/GMT+12"])
@pytest.mark.parametrize(
    ("hour", "firsts"),
    [
        # Sunday the 1st of February and of March; their issues are made the day before.
        (time(0), ["2026-01-04", "2026-02-01", "2026-03-01", "2026-04-05"]),
        (time(23, 59), ["2026-01-04", "2026-02-01", "2026-03-01", "2026-04-05"]),
    ],
)
def test_a_month_is_the_one_on_peoples_own_calendars(
    zone: str, hour: time, firsts: list[str]
) -> None:
    weekly(weekday=6, time_of_day=hour)
    mona = monthly(zone=zone)
    subscriber("rosa")

    tick(NEW_YEAR, utc("2026-04-30 00:00"))

    slots = Issue.objects.filter(batch__deliveries__recipient=mona.recipient)
    found = slots.order_by("slot").values_list("slot", flat=True)
    assert [f"{slot:%Y-%m-%d}" for slot in found] == firsts


def test_a_slot_without_an_issue_does_not_use_up_the_month() -> None:
    weekly()
    mona = monthly()
    Subscriber.objects.update(paused_until=SLOT + DAY)

    tick(NEW_YEAR, NEW_YEAR + WEEK)
    assert due_times(mona) == []

    tick(NEW_YEAR + WEEK, NEW_YEAR + 4 * WEEK)
    assert due_times(mona) == [SLOT + WEEK]


@pytest.mark.parametrize(
    ("paused_until", "gets_it"), [(OPENS, True), (OPENS + SECOND, False)]
)
def test_a_pause_is_asked_for_when_the_issue_starts(
    paused_until: datetime, gets_it: bool
) -> None:
    weekly()
    rosa = subscriber("rosa", paused_until=paused_until)
    subscriber("somebody")

    start_due_issues(OPENS)

    assert bool(due_times(rosa)) is gets_it


def test_who_left_or_may_not_be_mailed_is_left_out() -> None:
    weekly()
    away = [
        subscriber("unconfirmed", status="unconfirmed", confirmed_at=None),
        subscriber("unsubscribed", status="unsubscribed"),
        subscriber("bounced"),
        subscriber("without-consent"),
    ]
    rosa = subscriber("rosa")
    Recipient.objects.filter(subscriber=away[2]).update(
        suppressed_at=timezone.now(), suppression="hard bounce"
    )
    Recipient.objects.filter(subscriber=away[3]).update(may_receive=False)

    start_due_issues(OPENS)

    assert [due_times(one) for one in away] == [[], [], [], []]
    assert due_times(rosa) == [SLOT]


def test_who_comes_after_the_issue_was_made_gets_the_next_one() -> None:
    weekly()
    subscriber("rosa")
    start_due_issues(OPENS)
    late = subscriber("late")

    tick(OPENS, OPENS + 2 * DAY)
    assert due_times(late) == []

    start_due_issues(OPENS + WEEK)
    assert due_times(late) == [SLOT + WEEK]


def test_nobody_at_all_leaves_the_tip_for_whoever_comes_in_time() -> None:
    weekly()
    assert start_due_issues(OPENS) == 0
    assert not Issue.objects.exists()

    rosa = subscriber("rosa")

    assert start_due_issues(OPENS + DAY / 2) == 1
    assert due_times(rosa) == [SLOT]


@pytest.mark.parametrize(("zone", "tips"), [("Etc/GMT+6", 1), ("UTC", 0)])
def test_who_comes_after_nine_where_they_live_begins_next_week(
    zone: str, tips: int
) -> None:
    """The slot is open still: in the morning nobody was on the list."""
    weekly()
    confirmed_at = SLOT + timedelta(hours=3)
    rosa = subscriber("rosa", zone, confirmed_at=confirmed_at)

    start_due_issues(confirmed_at)

    assert len(due_times(rosa)) == tips
