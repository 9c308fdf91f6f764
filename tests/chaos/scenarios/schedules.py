"""Two of everything that makes issues, and clocks that people change."""

import time
from collections import Counter
from datetime import UTC, datetime, timedelta
from datetime import time as time_of_day
from itertools import pairwise
from pathlib import Path
from zoneinfo import ZoneInfo

from django.db.models import F
from django.utils import timezone

from mail import Delivery
from newsletter.clocks import ClockReading
from newsletter.models import Issue, Schedule, Subscriber
from newsletter.scheduling import start_due_issues
from tests.chaos.faults import Plan
from tests.chaos.trial import Trial
from tests.newsletter import slots
from tests.racing import at_once
from twitchsite.up import WORKER

ISSUES_DUE = "newsletter.start_due_issues"
# An hour of a day that is played in a minute or so.
HOUR = timedelta(seconds=2)
HOURS = 24
WEEKS = 48
# Clocks that go forward and back, in both hemispheres, by one hour or a half, at night
# or at midnight, and some that are never changed.
ZONES = (
    *("Europe/Berlin", "Europe/Dublin", "America/New_York", "America/Havana"),
    *("America/Santiago", "Australia/Sydney", "Australia/Lord_Howe"),
    *("Pacific/Auckland", "Asia/Beirut", "Africa/Cairo", "Asia/Kolkata"),
    *("Pacific/Kiritimati", "Etc/GMT+12", "UTC"),
)


def two_beats(trial: Trial) -> None:
    """A day of hourly slots: one issue each, however many ask for it at once."""
    addresses = trial.people(20)
    trial.write("eligible", addresses)
    path = trial.folder / "journal"
    trial.site.serve(path, Plan())
    schedule = _schedule(trial, every=HOUR)
    other = WORKER[WORKER.index("--hostname") + 1].replace("worker", "worker2")
    command = (*WORKER, "--hostname", other)
    extra = [trial.site.child("worker2", command), trial.site.beat("beat2")]
    for child in extra:
        child.start()
    ends = time.monotonic() + HOURS * HOUR.total_seconds()
    while time.monotonic() < ends:
        # Beat's own five seconds are two and a half of these hours.
        for _ in range(4):
            trial.hint(ISSUES_DUE)
        time.sleep(0.25)
    Schedule.objects.filter(pk=schedule.pk).update(active=False)
    for child in extra:
        child.stop()
    issues = list(schedule.issues.order_by("slot"))
    trial.expect(len(issues) >= HOURS - 1, f"{len(issues)} issues in {HOURS} slots")
    _expect_one_a_slot(trial, issues, HOUR)
    _expect_everybody(trial, issues, addresses, path)


def clock_changes(trial: Trial) -> None:
    """Sundays at half past two, which some clocks skip and some read twice."""
    addresses = trial.people(len(ZONES))
    trial.write("eligible", addresses)
    for address, zone in zip(addresses, ZONES, strict=True):
        mine = Subscriber.objects.filter(recipient__address=address)
        mine.update(time_zone=zone)
    path = trial.folder / "journal"
    trial.site.serve(path, Plan())
    schedule = _schedule(
        trial,
        weekday=Schedule.Weekday.SUNDAY,
        time_of_day=time_of_day(2, 30),
        # Not beat's: it waits while the weeks are played.
        starts_at=timezone.now() + slots.WEEK,
    )
    at = schedule.starts_at
    while at < schedule.starts_at + WEEKS * slots.WEEK:
        at_once(*[lambda at=at: start_due_issues(at)] * 2)
        at += timedelta(hours=trial.random.randrange(17, 25))
    Schedule.objects.filter(pk=schedule.pk).update(active=False)
    issues = list(schedule.issues.order_by("slot"))
    trial.expect(len(issues) >= WEEKS - 1, f"{len(issues)} issues in {WEEKS} weeks")
    _expect_one_a_slot(trial, issues, slots.WEEK)
    _expect_their_own_time(trial, issues)
    _expect_everybody(trial, issues, addresses, path)


def _schedule(trial: Trial, **changes: object) -> Schedule:
    """With a tip that may be sent, again and again."""
    slug = f"about-{trial.name.lower()}"
    slots.approved_article(slug)
    slots.approved_tip(f"tip-{trial.name.lower()}", slug)
    fields = {"name": trial.name, "starts_at": timezone.now(), **changes}
    return slots.weekly(**fields)


def _expect_one_a_slot(trial: Trial, issues: list[Issue], step: timedelta) -> None:
    """None skipped, none twice."""
    gaps = Counter(later.slot - earlier.slot for earlier, later in pairwise(issues))
    trial.expect(set(gaps) == {step}, f"issues are {sorted(map(str, gaps))} apart")


def _expect_everybody(
    trial: Trial, issues: list[Issue], addresses: list[str], journal: Path
) -> None:
    """Each issue is for all of them, and leaves (in time that is not waited for)."""
    mailings = [trial.follow(one.batch, journal) for one in issues if one.batch]
    everybody = all(one.eligible == sorted(addresses) for one in mailings)
    trial.expect(everybody, "an issue is for fewer people, or for strangers")
    for mailing in mailings:
        trial.until_settled(mailing)


def _expect_their_own_time(trial: Trial, issues: list[Issue]) -> None:
    """Every clock reads the slot; one that skips it reads up to an hour more, once."""
    zone = F("recipient__subscriber__time_zone")
    for issue in issues:
        slot = issue.slot.replace(tzinfo=None)
        rows = Delivery.objects.filter(batch=issue.batch_id)
        for place, reads in rows.values_list(zone, ClockReading(F("dated_at"), zone)):
            trial.expect(
                reads == slot or _skips(place, slot),
                f"the clock of {place} reads {reads}, not {slot}",
            )


def _skips(zone: str, slot: datetime) -> bool:
    """Do that zone's clocks jump over `slot`?"""
    there = slot.replace(tzinfo=ZoneInfo(zone))
    return there.astimezone(UTC).astimezone(there.tzinfo).replace(tzinfo=None) != slot
