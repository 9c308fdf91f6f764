"""Which tip goes out at a slot, once, and what stops it."""

from collections.abc import Iterator
from datetime import timedelta
from functools import partial
from queue import Empty, Queue
from typing import Any

import pytest
from django.db.models import Count
from time_machine import travel

from articles.models import Article
from articles.publishing import withdraw
from mail import Batch, Delivery, MayNotGoOn, cancel, pause, resume
from mail.closing import finish_batches
from mail.sweeping import sweep
from mail.uncertain import resend, settle_as_not_arrived
from newsletter import choosing, composing
from newsletter.choosing import outlook
from newsletter.models import Issue, Schedule, Subscriber, TipRevision
from newsletter.scheduling import (
    FirstTip,
    first_tip,
    hold_unfit_issues,
    start_due_issues,
)
from review import SignOff
from tests.newsletter.slots import (
    DAY,
    NEW_YEAR,
    TWO_YEARS,
    approved_article,
    approved_tip,
    on_new_year,
    subscriber,
    utc,
    verdict,
    weekly,
    written_tip,
)
from tests.people import edith
from tests.racing import at_once, leaves_nothing_behind

HOUR = timedelta(hours=1)
MINUTE = timedelta(minutes=1)
SLOT = utc("2026-01-06 09:00")
OPENS = utc("2026-01-05 18:00")
CLOSES = utc("2026-01-06 21:00")
RETRACTED = SignOff.Verdict.RETRACTED


@pytest.fixture
def site(db: None) -> Iterator[Article]:
    yield from on_new_year()


@pytest.fixture
def committed_site(cloned_database: str) -> Iterator[Article]:
    yield from on_new_year()


def sent() -> list[str]:
    """The tips that went out, in order."""
    issues = Issue.objects.order_by("slot")
    return list(issues.values_list("tip_revision__tip__slug", flat=True))


# --- Twice at once --------------------------------------------------------------------


def test_s5_two_beats_and_two_schedulers_make_one_issue_a_slot(
    committed_site: Article,
) -> None:
    """24 hours of ticks, minutes apart; a slot an hour and one of the week."""
    for number in range(3):
        approved_tip(f"tip-{number}")
    hourly = weekly(name="Hourly", every=HOUR)
    local = weekly()
    people = [subscriber("rosa"), subscriber("ken", "Asia/Tokyo")]
    begins = utc("2026-01-05 12:00")
    ticks: Queue[int] = Queue()

    def beat(every: int) -> None:
        for minute in range(0, 24 * 60, every):
            ticks.put(minute)

    def schedule() -> int:
        started = 0
        try:
            while True:
                minute = ticks.get(timeout=1)
                started += start_due_issues(begins + minute * MINUTE)
        except Empty:
            return started

    with travel(begins, tick=False):
        ends = at_once(partial(beat, 5), partial(beat, 7), schedule, schedule)

    assert ends[:2] == [None, None], ends
    assert sum(ends[2:]) == Issue.objects.count() == 25
    slots = Issue.objects.values("schedule", "slot").annotate(issues=Count("pk"))
    assert {one["issues"] for one in slots} == {1}
    assert hourly.issues.count() == 24
    assert local.issues.get().slot == SLOT
    for person in people:
        own = Delivery.objects.filter(recipient=person.recipient)
        assert own.count() == own.values("batch").distinct().count() == 25


def test_s5_four_schedulers_at_the_same_instant_make_one_issue(
    committed_site: Article,
) -> None:
    approved_tip()
    weekly()
    subscriber("rosa")

    ends = at_once(*[partial(start_due_issues, OPENS)] * 4)

    assert sorted(ends) == [0, 0, 0, 1]
    assert Issue.objects.count() == Batch.objects.count() == 1
    assert Delivery.objects.filter(batch__isnull=False).count() == 1


def test_an_issue_that_dies_half_way_never_was(committed_site: Article) -> None:
    approved_tip()
    weekly()
    subscriber("rosa")

    writes = leaves_nothing_behind(partial(start_due_issues, OPENS))

    assert writes >= 4
    assert Delivery.objects.count() == 1


# --- Which tip ------------------------------------------------------------------------


def test_a_tip_that_waits_does_not_hold_up_the_next_one(site: Article) -> None:
    approved_article("eyelid-twitch")
    held, article = approved_tip("held", "eyelid-twitch"), "eyelid-twitch"
    approved_tip("next")
    weekly()
    subscriber("rosa")
    withdraw(Article.objects.get(slug=article), reason="Wrong.")

    start_due_issues(OPENS)

    assert sent() == ["next"]
    assert outlook(held).sign_off is None


def test_one_schedule_that_fails_holds_up_no_other(
    site: Article, monkeypatch: pytest.MonkeyPatch
) -> None:
    approved_tip()
    broken, fine = weekly(name="Broken"), weekly()
    subscriber("rosa")
    real = choosing.next_tip

    def failing(schedule: Schedule, at: Any) -> Any:
        if schedule == broken:
            raise RuntimeError("a fault of one schedule")
        return real(schedule, at)

    monkeypatch.setattr(choosing, "next_tip", failing)

    assert start_due_issues(OPENS) == 1
    assert Issue.objects.get().schedule == fine


@pytest.mark.parametrize(
    ("ends", "goes"), [(CLOSES + HOUR, True), (CLOSES - HOUR, False)]
)
def test_approvals_must_hold_until_the_last_zone_has_the_tip(
    site: Article, ends: Any, goes: bool
) -> None:
    approved_tip(valid_for=ends - NEW_YEAR)
    weekly()
    subscriber("rosa")

    start_due_issues(OPENS)

    assert bool(sent()) is goes


def altered(site: Article) -> TipRevision:
    revision = approved_tip()
    return composing.revise(
        revision.tip,
        {**revision.content, "preheader": "Newer"},
        cites=["muscle-twitching"],
        by=edith(),
    )[0]


def retracted(site: Article) -> TipRevision:
    revision = approved_tip()
    verdict(revision, revision.tip.subject, RETRACTED)
    return revision


def changes_asked_for(site: Article) -> TipRevision:
    revision = written_tip()
    verdict(revision, revision.tip.subject, SignOff.Verdict.CHANGES_REQUESTED)
    return revision


def citing_nothing(site: Article) -> TipRevision:
    revision = approved_tip()
    content = revision.content
    return composing.revise(revision.tip, content, cites=[], by=edith())[0]


def citing_what_was_withdrawn(site: Article) -> TipRevision:
    revision = approved_tip()
    withdraw(site, reason="Wrong.")
    return revision


def citing_what_was_taken_back(site: Article) -> TipRevision:
    revision = approved_tip()
    verdict(site.live_revision, site.subject, RETRACTED)
    return revision


def running_out_first(site: Article) -> TipRevision:
    return approved_tip(valid_for=10 * DAY)


@pytest.mark.parametrize(
    ("tip", "at", "reason"),
    [
        (lambda site: approved_tip(), NEW_YEAR, ""),
        (
            lambda site: written_tip(),
            NEW_YEAR,
            "No clinician has approved its newest text yet.",
        ),
        (altered, NEW_YEAR, "No clinician has approved its newest text yet."),
        (changes_asked_for, NEW_YEAR, "A clinician asked for changes."),
        (retracted, NEW_YEAR, "A clinician took the approval of its text back."),
        (running_out_first, NEW_YEAR + 9 * DAY, ""),
        (
            running_out_first,
            NEW_YEAR + 11 * DAY,
            "Its review ran out on 11 January 2026.",
        ),
        (
            running_out_first,
            NEW_YEAR + 110 * DAY,
            "Its review ran out on 11 January 2026.",
        ),
        (citing_nothing, NEW_YEAR, "It names no article that it relies on."),
        (
            citing_what_was_withdrawn,
            NEW_YEAR,
            "The article muscle-twitching, which it relies on, is not on the site.",
        ),
        (
            citing_what_was_taken_back,
            NEW_YEAR,
            "It relies on the article muscle-twitching: a clinician took its approval "
            "back.",
        ),
        (
            lambda site: approved_tip(valid_for=3 * TWO_YEARS / 2),
            NEW_YEAR + TWO_YEARS + DAY,
            "It relies on the article muscle-twitching: its review ran out on "
            "1 January 2028.",
        ),
    ],
)
def test_a_tip_that_waits_says_why(
    site: Article, tip: Any, at: Any, reason: str
) -> None:
    assert outlook(tip(site), at).waits_for == reason


# --- What was taken back while it still goes out --------------------------------------


def under_way(**changes: Any) -> Issue:
    approved_tip()
    weekly(**changes)
    subscriber("rosa")
    assert start_due_issues(OPENS) == 1
    return Issue.objects.get()


def test_an_approval_taken_back_meanwhile_pauses_the_issue(site: Article) -> None:
    issue = under_way()
    assert hold_unfit_issues(OPENS) == 0

    verdict(issue.tip_revision, issue.tip_revision.tip.subject, RETRACTED)
    assert hold_unfit_issues(OPENS) == 1
    assert hold_unfit_issues(OPENS) == 0

    batch = Batch.objects.get()
    assert batch.state == Batch.State.PAUSED
    assert batch.pause_reason == "A clinician took the approval of its text back."


def test_so_does_an_article_that_is_withdrawn_meanwhile(site: Article) -> None:
    under_way()

    withdraw(site, reason="Wrong.")

    assert hold_unfit_issues(OPENS) == 1
    assert "is not on the site" in Batch.objects.get().pause_reason


def test_a_newer_text_of_the_tip_stops_no_issue_of_the_older_one(
    site: Article,
) -> None:
    revision = under_way().tip_revision

    content = {**revision.content, "preheader": "Newer"}
    composing.revise(revision.tip, content, cites=revision.cites, by=edith())

    assert hold_unfit_issues(OPENS) == 0


def test_a_person_cannot_resume_what_lost_its_approval(site: Article) -> None:
    issue = under_way()
    verdict(issue.tip_revision, issue.tip_revision.tip.subject, RETRACTED)
    hold_unfit_issues(OPENS)

    with pytest.raises(MayNotGoOn, match="took the approval of its text back"):
        resume(Batch.objects.get().pk, by=edith())

    assert Batch.objects.get().state == Batch.State.PAUSED


def test_nor_what_relies_on_an_article_that_was_withdrawn(site: Article) -> None:
    under_way()
    pause(Batch.objects.get().pk, reason="a look at it", by=edith())
    withdraw(site, reason="Wrong.")

    with pytest.raises(MayNotGoOn, match="is not on the site"):
        resume(Batch.objects.get().pk, by=edith())


def test_what_is_approved_again_can_be_resumed(site: Article) -> None:
    issue = under_way()
    subject = issue.tip_revision.tip.subject
    verdict(issue.tip_revision, subject, RETRACTED)
    hold_unfit_issues(OPENS)
    verdict(issue.tip_revision, subject, SignOff.Verdict.APPROVED)

    assert resume(Batch.objects.get().pk, by=edith())


def test_a_retraction_waits_for_who_is_just_resuming(committed_site: Article) -> None:
    """Whichever is first: what was taken back is paused or was never resumed."""
    issue = under_way()
    batch = Batch.objects.get()
    pause(batch.pk, reason="a look at it", by=edith())

    resumed, _ = at_once(
        lambda: resume(batch.pk, by=edith()),
        lambda: verdict(issue.tip_revision, issue.tip_revision.tip.subject, RETRACTED),
    )
    hold_unfit_issues(OPENS)

    assert resumed is True or isinstance(resumed, MayNotGoOn)
    assert Batch.objects.get().state == Batch.State.PAUSED


def test_nobody_is_sent_again_what_lost_its_approval(site: Article) -> None:
    issue = under_way()
    Delivery.objects.update(
        state=Delivery.State.UNCERTAIN, reason="x", finished_at=OPENS
    )
    finish_batches()
    verdict(issue.tip_revision, issue.tip_revision.tip.subject, RETRACTED)

    with pytest.raises(MayNotGoOn, match="took the approval of its text back"):
        resend(Delivery.objects.all(), by=edith())

    assert Delivery.objects.get().state == Delivery.State.UNCERTAIN
    assert Batch.objects.get().state == Batch.State.FINISHED


def test_a_tip_that_reached_nobody_is_sent_at_the_next_slot(site: Article) -> None:
    under_way(repeats=False)
    cancel(Batch.objects.get().pk, reason="a typing error", by=edith())

    assert start_due_issues(OPENS + HOUR) == 0, "the slot is served"
    assert start_due_issues(OPENS + 7 * DAY) == 1
    assert sent() == ["rest", "rest"]


def test_so_is_one_that_expired_for_everybody(site: Article) -> None:
    under_way(repeats=False)
    sweep(CLOSES + 2 * DAY)

    assert start_due_issues(OPENS + 7 * DAY) == 1


@pytest.mark.parametrize("fate", [Delivery.State.ACCEPTED, Delivery.State.UNCERTAIN])
def test_one_that_may_have_reached_somebody_is_not(
    site: Article, fate: Delivery.State
) -> None:
    approved_tip()
    weekly(repeats=False)
    subscriber("rosa"), subscriber("ruth")
    start_due_issues(OPENS)
    first = Delivery.objects.earliest("pk").pk
    Delivery.objects.filter(pk=first).update(state=fate, reason="x", finished_at=OPENS)
    cancel(Batch.objects.get().pk, reason="a typing error", by=edith())

    assert start_due_issues(OPENS + 7 * DAY) == 0


def test_what_turns_out_to_have_reached_nobody_returns(site: Article) -> None:
    under_way(repeats=False)
    Delivery.objects.update(
        state=Delivery.State.UNCERTAIN, reason="x", finished_at=OPENS
    )
    finish_batches()

    settle_as_not_arrived(Delivery.objects.all(), by=edith())

    assert start_due_issues(OPENS + 7 * DAY) == 1


def test_an_issue_that_reached_nobody_is_not_the_months_first(site: Article) -> None:
    approved_tip()
    weekly()
    rosa = subscriber("rosa")
    Subscriber.objects.update(frequency=Subscriber.Frequency.MONTHLY)
    start_due_issues(OPENS)
    cancel(Batch.objects.get().pk, reason="a typing error", by=edith())

    assert start_due_issues(OPENS + 7 * DAY) == 1
    assert Delivery.objects.filter(recipient=rosa.recipient, state="queued").exists()


# --- What a new subscriber is promised ------------------------------------------------


@pytest.mark.parametrize(
    ("zone", "due_at", "shown"),
    [
        ("Europe/Berlin", "2026-01-06 08:00", "Europe/Berlin"),
        ("America/New_York", "2026-01-06 14:00", "America/New_York"),
        ("Nowhere/At_All", "2026-01-06 09:00", "UTC"),
    ],
)
def test_the_first_tip_is_promised_on_the_persons_own_clock(
    site: Article, zone: str, due_at: str, shown: str
) -> None:
    weekly()

    promise = first_tip(subscriber("rosa", zone), NEW_YEAR)

    assert promise is not None
    assert promise.due_at == utc(due_at)
    assert f"{promise.clock:%A %H:%M}" == "Tuesday 09:00"
    assert promise.zone == shown


@pytest.mark.parametrize(
    ("zone", "name"),
    [
        ("America/New_York", "New York time"),
        ("America/Argentina/Buenos_Aires", "Buenos Aires time"),
        ("UTC", "UTC"),
        ("Etc/GMT+12", "Etc/GMT+12"),
    ],
)
def test_the_clock_is_called_as_people_call_it(zone: str, name: str) -> None:
    assert FirstTip(NEW_YEAR, NEW_YEAR, zone).clock_name == name


def test_without_a_schedule_nothing_is_promised(site: Article) -> None:
    weekly(active=False)

    assert first_tip(subscriber("rosa")) is None


def test_of_two_schedules_the_earlier_one_counts(site: Article) -> None:
    weekly()
    weekly(name="Mondays", weekday=0)

    promise = first_tip(subscriber("rosa"))

    assert promise is not None
    assert promise.due_at == utc("2026-01-05 09:00")


@pytest.mark.parametrize("zone", ["Pacific/Kiritimati", "UTC", "Etc/GMT+12"])
@pytest.mark.parametrize("frequency", Subscriber.Frequency.values)
@pytest.mark.parametrize("confirmed_at", [OPENS - HOUR, OPENS + HOUR, SLOT, CLOSES])
def test_what_is_promised_is_kept(
    site: Article, zone: str, frequency: str, confirmed_at: Any
) -> None:
    approved_tip()
    weekly()
    subscriber("somebody")
    ticks = [NEW_YEAR + number * 10 * HOUR for number in range(84)]
    for at in (one for one in ticks if one < confirmed_at):
        start_due_issues(at)

    rosa = subscriber("rosa", zone, frequency=frequency, confirmed_at=confirmed_at)
    promise = first_tip(rosa, confirmed_at)
    for at in (one for one in ticks if one >= confirmed_at):
        start_due_issues(at)

    own = Delivery.objects.filter(recipient=rosa.recipient).earliest("due_at")
    assert promise is not None
    assert promise.due_at == own.due_at


@pytest.mark.parametrize("frequency", Subscriber.Frequency.values)
@pytest.mark.parametrize("paused_until", [OPENS - HOUR, OPENS + HOUR, SLOT, CLOSES])
def test_what_is_promised_after_a_pause_is_kept(
    site: Article, frequency: str, paused_until: Any
) -> None:
    approved_tip()
    weekly()
    subscriber("somebody")
    rosa = subscriber("rosa", frequency=frequency, paused_until=paused_until)

    promise = first_tip(rosa, NEW_YEAR)
    ticks = [NEW_YEAR + number * 10 * HOUR for number in range(84)]
    for at in sorted([*ticks, OPENS]):
        start_due_issues(at)

    own = Delivery.objects.filter(recipient=rosa.recipient).earliest("due_at")
    assert promise is not None
    assert promise.due_at == own.due_at
