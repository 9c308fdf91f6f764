"""A tip comes at the schedule's day and hour on each person's own clock, once."""

from collections.abc import Iterator
from datetime import datetime, time, timedelta
from itertools import pairwise

import pytest

from articles.models import Article
from mail import Delivery, drop_waiting
from mail.overdue import hold_overdue
from newsletter.models import Issue, Schedule, Subscriber
from newsletter.scheduling import start_due_issues
from tests.newsletter.slots import (
    DAY,
    NEW_YEAR,
    WEEK,
    approved_tip,
    clock,
    due_times,
    on_new_year,
    subscriber,
    tick,
    utc,
    weekly,
)

HOUR = timedelta(hours=1)
SECOND = timedelta(seconds=1)
# Tuesday the 6th at nine; its issue is made 15 hours before nine in UTC.
SLOT = utc("2026-01-06 09:00")
OPENS = utc("2026-01-05 18:00")
CLOSES = utc("2026-01-06 21:00")


@pytest.fixture(autouse=True)
def site(db: None) -> Iterator[Article]:
    for article in on_new_year():
        approved_tip()
        yield article


def test_everybody_has_it_at_nine_where_they_live() -> None:
    weekly()
    people = {
        zone: subscriber(zone.replace("/", "."), zone)
        for zone in ("Asia/Tokyo", "Asia/Kolkata", "Europe/Berlin", "America/New_York")
    }

    assert tick(NEW_YEAR, NEW_YEAR + WEEK) == 1

    assert {zone: due_times(one) for zone, one in people.items()} == {
        "Asia/Tokyo": [utc("2026-01-06 00:00")],
        "Asia/Kolkata": [utc("2026-01-06 03:30")],
        "Europe/Berlin": [utc("2026-01-06 08:00")],
        "America/New_York": [utc("2026-01-06 14:00")],
    }


def test_the_date_header_says_when_it_was_due() -> None:
    weekly()
    subscriber("rosa", "Asia/Tokyo")

    start_due_issues(OPENS)

    assert Delivery.objects.get().dated_at == utc("2026-01-06 00:00")


def test_an_issue_is_made_in_time_for_the_first_zone_and_covers_the_last() -> None:
    weekly()
    first = subscriber("first", "Pacific/Kiritimati")
    last = subscriber("last", "Etc/GMT+12")

    assert start_due_issues(OPENS - SECOND) == 0
    assert start_due_issues(OPENS) == 1

    assert due_times(first) == [OPENS + HOUR]
    assert due_times(last) == [CLOSES]


@pytest.mark.parametrize("zone", ["Nowhere/At_All", "", "EST; DROP", "europe/berlin"])
def test_a_zone_nobody_knows_counts_as_utc(zone: str) -> None:
    weekly()
    stray, rosa = subscriber("stray", zone), subscriber("rosa", "Europe/Berlin")

    start_due_issues(OPENS)

    assert due_times(stray) == [SLOT]
    assert due_times(rosa) == [SLOT - HOUR]


@pytest.mark.parametrize(
    ("zone", "slot", "due_at"),
    [
        # Clocks are put forward over the slot: as much later as they were moved.
        ("Europe/Berlin", "2026-03-29 02:30", "2026-03-29 01:30"),
        ("America/New_York", "2026-03-08 02:30", "2026-03-08 07:30"),
        ("Australia/Sydney", "2026-10-04 02:30", "2026-10-03 16:30"),
        ("America/Santiago", "2026-09-06 00:30", "2026-09-06 04:30"),
        ("Australia/Lord_Howe", "2026-10-04 02:15", "2026-10-03 15:45"),
        # Clocks are put back over it: the second time.
        ("Europe/Berlin", "2026-10-25 02:30", "2026-10-25 01:30"),
        ("America/New_York", "2026-11-01 01:30", "2026-11-01 06:30"),
        ("Australia/Sydney", "2026-04-05 02:30", "2026-04-04 16:30"),
        ("America/Santiago", "2026-04-04 23:30", "2026-04-05 03:30"),
        ("Australia/Lord_Howe", "2026-04-05 01:45", "2026-04-04 15:15"),
    ],
)
def test_a_time_that_is_skipped_or_comes_twice_is_mailed_once(
    zone: str, slot: str, due_at: str
) -> None:
    at = utc(slot)
    weekly(weekday=at.weekday(), time_of_day=at.time())
    rosa = subscriber("rosa", zone)

    tick(at - 2 * DAY, at + 2 * DAY, HOUR)

    assert due_times(rosa) == [utc(due_at)]


@pytest.mark.parametrize("hour", [time(2, 30), time(0, 15)])
def test_a_year_of_slots_mails_everybody_once_a_week(hour: time) -> None:
    """Sundays in the small hours, which most clock changes touch."""
    weekly(weekday=6, time_of_day=hour)
    zones = (
        *("Europe/Berlin", "America/New_York", "Australia/Sydney"),
        *("America/Santiago", "Australia/Lord_Howe", "Asia/Kolkata", "UTC"),
        *("Pacific/Kiritimati", "Pacific/Chatham", "Etc/GMT+12"),
    )
    people = [subscriber(zone.replace("/", "."), zone) for zone in zones]

    assert tick(NEW_YEAR, NEW_YEAR + 52 * WEEK, 25 * HOUR) == 52

    slots = list(Issue.objects.order_by("slot").values_list("slot", flat=True))
    assert {after - before for before, after in pairwise(slots)} == {WEEK}
    for person in people:
        read = [clock(at, person.time_zone) for at in due_times(person)]
        assert [one.isocalendar()[:2] for one in read] == [
            slot.isocalendar()[:2] for slot in slots
        ]
        late = [one - slot for one, slot in zip(read, slots, strict=True) if one > slot]
        # In spring.
        assert len(late) <= 1
        assert all(one <= HOUR for one in late)
        assert not any(one < slot for one, slot in zip(read, slots, strict=True))


def test_a_person_who_moves_gets_no_issue_twice() -> None:
    weekly()
    rosa = subscriber("rosa", "Pacific/Kiritimati")
    start_due_issues(OPENS)

    Subscriber.objects.update(time_zone="America/New_York")
    tick(OPENS, CLOSES + DAY, HOUR)

    assert due_times(rosa) == [OPENS + HOUR]
    start_due_issues(OPENS + WEEK)
    assert due_times(rosa) == [OPENS + HOUR, utc("2026-01-13 14:00")]


@pytest.mark.parametrize(
    "change",
    [{"time_of_day": time(10)}, {"weekday": 2}, {"weekday": 6}, {"weekday": 0}],
)
def test_a_schedule_that_is_moved_mails_no_second_time_that_week(
    change: dict[str, object],
) -> None:
    plan, rosa = weekly(), subscriber("rosa")
    start_due_issues(OPENS)

    Schedule.objects.update(**change)

    assert tick(OPENS, utc("2026-01-11 00:00"), HOUR) == 0
    assert tick(utc("2026-01-11 00:00"), utc("2026-01-18 00:00"), HOUR) == 1
    plan.refresh_from_db()
    _, second = due_times(rosa)
    assert (second.weekday(), second.time()) == (plan.weekday, plan.time_of_day)


@pytest.mark.parametrize(
    ("at", "started"), [(CLOSES - SECOND, 1), (CLOSES, 0), (OPENS + WEEK, 1)]
)
def test_a_slot_that_is_over_everywhere_is_not_made_up_for(
    at: datetime, started: int
) -> None:
    weekly()
    subscriber("rosa")

    assert start_due_issues(at) == started


@pytest.mark.parametrize(
    ("begins", "first"), [(OPENS, SLOT), (OPENS + SECOND, SLOT + WEEK)]
)
def test_a_schedule_begins_with_a_slot_that_nobody_has_missed(
    begins: datetime, first: datetime
) -> None:
    weekly(starts_at=begins)
    subscriber("rosa")

    tick(begins, begins + 2 * WEEK)

    assert Issue.objects.earliest("slot").slot == first


def test_every_so_often_is_due_at_once_wherever_people_are() -> None:
    weekly(every=timedelta(seconds=20))
    people = [subscriber("rosa"), subscriber("ken", "Asia/Tokyo")]

    assert start_due_issues(SLOT + 3 * SECOND) == 1

    assert [due_times(one) for one in people] == [[SLOT], [SLOT]]


def test_a_schedule_that_rests_makes_no_issue() -> None:
    weekly(active=False)
    subscriber("rosa")

    assert start_due_issues(OPENS) == 0


def test_who_leaves_before_the_first_one_s_time_holds_up_nobody() -> None:
    weekly()
    first, rosa = subscriber("first", "Asia/Tokyo"), subscriber("rosa")
    start_due_issues(OPENS)
    drop_waiting(first.recipient, reason="unsubscribed")

    assert hold_overdue(utc("2026-01-06 01:00")) == 0
    assert hold_overdue(SLOT + HOUR - SECOND) == 0
    assert hold_overdue(SLOT + HOUR) == 1

    assert due_times(rosa) == [SLOT]
