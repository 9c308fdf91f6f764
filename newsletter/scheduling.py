"""Which tip goes to whom at which slot. Two beats make one issue: the row is unique."""

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from datetime import datetime
from itertools import dropwhile
from typing import Any

import structlog
from django.db import transaction
from django.db.models import F, Q, QuerySet
from django.utils import timezone

from articles import catalogue
from ledger import head
from mail import Batch, Recipient, TipMail, absolute, pause, start_batch
from newsletter import choosing, emails
from newsletter.clocks import ClockReading, KnownZone, month_of
from newsletter.models import (
    Correction,
    HealthTip,
    Issue,
    Schedule,
    Subscriber,
    TipRevision,
)
from review import SignOff, hold

log = structlog.get_logger(__name__)
RUNNING = Batch.State.RUNNING


def start_due_issues(at: datetime | None = None) -> int:
    """Start what is due on every active schedule; how many issues were started."""
    now = at or timezone.now()
    return sum(_is_started(one, now) for one in Schedule.objects.running(now))


def _is_started(schedule: Schedule, now: datetime) -> bool:
    try:
        return start_issue(schedule, now) is not None
    except Exception:
        # One schedule must not hold up the others; it is tried again next time.
        log.exception("no issue", schedule=schedule.pk)
        return False


@transaction.atomic
def start_issue(schedule: Schedule, now: datetime) -> Issue | None:
    """The issue of the schedule's open slot, if there is one and this call made it.

    None when the slot was served, no tip may be sent, or nobody is eligible: then
    there is no issue and the tip stays in the queue.
    """
    # As it is, and nobody else's until the issue is there: what another scheduler or
    # an editor has at the moment is looked at again at the next tick.
    rows = Schedule.objects.select_for_update(skip_locked=True, no_key=True)
    locked = rows.running(now).filter(pk=schedule.pk).first()
    slot = locked.open_slot(now) if locked else None
    if locked is None or slot is None:
        return None
    revision = choosing.next_tip(locked, _until(locked, slot, now))
    if revision is None:
        log.info("no tip to send", schedule=locked.pk)
        return None
    return _start(locked, slot, revision, now)


def _start(
    schedule: Schedule, slot: datetime, revision: TipRevision, now: datetime
) -> Issue | None:
    # Nobody takes the approval back from here on; what was taken back since `now`
    # counts.
    hold(revision.tip.subject)
    latest = max(now, timezone.now())
    sign_off = choosing.outlook(revision, _until(schedule, slot, latest)).sign_off
    if sign_off is None:
        return None
    people = Subscriber.objects.getting(schedule, slot, now)
    people = people.wanting(revision.tip.topics)
    issue = Issue(schedule=schedule, slot=slot, tip_revision=revision, starts_at=now)
    issue.hold(sign_off)
    issue.batch = start_batch(
        name=str(issue),
        mail=mail_of(revision, sign_off),
        warrant=warrant(sign_off),
        recipients=Recipient.objects.filter(subscriber__in=people),
        due_at=schedule.due_at(slot, F("subscriber__time_zone")),
    )
    if issue.batch is None:
        return None
    issue.save()
    return issue


def _until(schedule: Schedule, slot: datetime, now: datetime) -> datetime:
    """Till when the approvals must hold: until the last zone on earth has the tip."""
    return now if schedule.every else max(now, schedule.closes_at(slot))


def hold_unfit_issues(at: datetime | None = None) -> int:
    """Pause what still goes out of an issue that lost an approval; how many.

    People further west get an issue up to 26 hours later, and what a clinician took
    back meanwhile must not reach them.
    """
    unfit = [
        found
        for model in (Issue, Correction)
        for found in _unfit(model.objects.filter(batch__state=RUNNING), at)
    ]
    for batch_id, reason in unfit:
        pause(batch_id, reason=reason)
    return len(unfit)


def why_unfit(batch_ids: Collection[int]) -> dict[int, str]:
    """Which of these batches lost an approval, and what each waits for.

    Nobody takes an approval of their tips back until the transaction ends.
    """
    sent = [model.objects.filter(batch__in=batch_ids) for model in (Issue, Correction)]
    tips = HealthTip.objects.filter(
        Q(revisions__issues__in=sent[0])
        | Q(revisions__in=sent[1].values("tip_revision"))
    )
    for subject in sorted({one.subject for one in tips}):
        hold(subject)
    return {pk: reason for rows in sent for pk, reason in _unfit(rows, None)}


def _unfit(sent: QuerySet[Any], at: datetime | None) -> Iterator[tuple[int, str]]:
    """The batches of what lost an approval, and what it waits for."""
    rows = sent.select_related("tip_revision__tip", "tip_revision__entry")
    found = choosing.outlooks([one.tip_revision for one in rows], at)
    for one in rows:
        if reason := found[one.tip_revision_id].waits_for:
            yield one.batch_id, reason


def mail_of(
    revision: TipRevision, sign_off: SignOff, *, corrected: Issue | None = None
) -> TipMail:
    """The tip as it is mailed, with the article it leads to."""
    (article,) = catalogue.cards(revision.cites)[:1]
    return emails.tip(
        revision,
        review_line=review_line(sign_off),
        article={"title": article.title, "url": absolute(article.url)},
        corrected=corrected,
    )


def warrant(sign_off: SignOff) -> dict[str, Any]:
    """What entitles a batch to start, for its manifest."""
    newest = head()
    return {
        "sign_off": sign_off.pk,
        "sign_off_digest": sign_off.digest,
        "ledger_position": newest and newest.position,
        "ledger_head": newest and newest.hash,
    }


def review_line(sign_off: SignOff) -> str:
    """What the mail says of its review, as plain as the page does."""
    if sign_off.demonstration:
        return "Demonstration only: not medically reviewed."
    signer = f"{sign_off.signer_name}, {sign_off.signer_credentials}"
    return f"Medically reviewed by {signer} on {sign_off.signed_at:%-d %B %Y}."


@dataclass(frozen=True)
class FirstTip:
    """When a person's next tip is due, and what their own clock reads then."""

    due_at: datetime
    clock: datetime
    zone: str

    @property
    def clock_name(self) -> str:
        """The zone as people call it: New York time, UTC."""
        area, _, place = self.zone.rpartition("/")
        if area == "Etc" or not area:
            return self.zone
        return f"{place.replace('_', ' ')} time"


def first_tip(subscriber: Subscriber, now: datetime | None = None) -> FirstTip | None:
    """What to promise a person now, after a pause if any; None without a schedule."""
    at = now or timezone.now()
    active = Schedule.objects.filter(active=True)
    found = [_first_of(schedule, subscriber, at) for schedule in active]
    return min(found, key=lambda one: one.due_at, default=None)


def _first_of(schedule: Schedule, subscriber: Subscriber, at: datetime) -> FirstTip:
    slots = _slots_for(subscriber, schedule, at)
    tips = (
        _tip_at(slot, schedule, subscriber)
        for slot in slots
        # Who gets an issue is settled when it is made.
        if not subscriber.is_paused(schedule.opens_at(slot))
    )
    return next(tip for tip in tips if tip.due_at > at)


def _tip_at(slot: datetime, schedule: Schedule, subscriber: Subscriber) -> FirstTip:
    zone = F("time_zone")
    due_at = schedule.due_at(slot, zone)
    row = Subscriber.objects.filter(pk=subscriber.pk)
    return FirstTip(
        *row.values_list(due_at, ClockReading(due_at, zone), KnownZone(zone)).get()
    )


def _slots_for(
    subscriber: Subscriber, schedule: Schedule, at: datetime
) -> Iterator[datetime]:
    if subscriber.frequency == Subscriber.Frequency.MONTHLY:
        return _first_slots_of_months(schedule, at)
    return schedule.slots_to_come(max(at, subscriber.paused_until or at))


def _first_slots_of_months(schedule: Schedule, at: datetime) -> Iterator[datetime]:
    slots = schedule.slots_to_come(at)
    while True:
        slot = next(slots)
        if not schedule.issues.sent().in_month_of(slot).exists():
            yield slot
        _, month_ends = month_of(slot)
        later = schedule.slots_to_come(schedule.opens_at(month_ends))
        slots = dropwhile(month_ends.__gt__, later)
