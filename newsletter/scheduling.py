"""Which tip goes to whom at which slot. Two beats make one issue: the row is unique."""

from datetime import datetime

import structlog
from django.db import IntegrityError, transaction
from django.db.models import Max, Q
from django.db.models.functions import Coalesce
from django.utils import timezone

from articles import catalogue
from ledger import is_authentic
from mail import Recipient, absolute, start_batch
from newsletter import emails
from newsletter.models import HealthTip, Issue, Schedule, Subscriber, TipRevision
from review import SignOff, Standing, hold, standing

log = structlog.get_logger(__name__)
LONG_AGO = datetime(1970, 1, 1, tzinfo=timezone.get_default_timezone())


def start_due_issues(at: datetime | None = None) -> int:
    """Start what is due on every active schedule; how many issues were started."""
    now = at or timezone.now()
    return sum(
        start_issue(schedule, now) is not None
        for schedule in Schedule.objects.filter(active=True, starts_at__lte=now)
    )


def start_issue(schedule: Schedule, now: datetime) -> Issue | None:
    """The issue of the schedule's newest slot, if it is due and this call made it.

    None when the slot was served, no tip may be sent, or nobody is eligible: then
    there is no issue and the tip stays in the queue.
    """
    slot = schedule.latest_slot(now)
    if slot < schedule.starts_at or schedule.issues.filter(slot=slot).exists():
        return None
    chosen = next_tip(schedule, now)
    if chosen is None:
        log.warning("no tip to send", schedule=schedule.pk)
        return None
    try:
        return _start(schedule, slot, *chosen, now)
    except IntegrityError:
        # Another scheduler was first; its issue is the slot's issue.
        return None


@transaction.atomic
def _start(
    schedule: Schedule,
    slot: datetime,
    revision: TipRevision,
    sign_off: SignOff,
    now: datetime,
) -> Issue | None:
    # Nobody takes the approval back from here on; what was taken back since `now`
    # counts.
    hold(revision.tip.subject)
    latest = max(now, timezone.now())
    found = standing(revision.tip.subject, revision.text_digest(), latest)
    if found.sign_off != sign_off or not may_send(revision, found, latest):
        return None
    issue = Issue.objects.create(
        schedule=schedule,
        slot=slot,
        tip_revision=revision,
        sign_off=sign_off,
        digest=sign_off.digest,
        verdict=sign_off.verdict,
        valid_until=sign_off.valid_until,
        starts_at=now,
    )
    (article,) = catalogue.cards(revision.cites)[:1]
    issue.batch = start_batch(
        name=str(issue),
        mail=emails.tip(
            revision,
            review_line=review_line(sign_off),
            article={"title": article.title, "url": absolute(article.url)},
        ),
        recipients=Recipient.objects.filter(
            subscriber__in=Subscriber.objects.eligible(now)
        ),
        due_at=now,
    )
    if issue.batch is None:
        transaction.set_rollback(True)
        return None
    issue.save(update_fields=["batch"])
    return issue


def next_tip(schedule: Schedule, now: datetime) -> tuple[TipRevision, SignOff] | None:
    """The next tip that may be sent: never sent first, else longest ago if it repeats.

    Its own text and every article it cites must be approved and in date. A tip whose
    row was altered, or that cites nothing, is not sent.
    """
    tips = HealthTip.objects.annotate(
        last_sent=Max(
            "revisions__issues__slot", filter=Q(revisions__issues__schedule=schedule)
        )
    )
    if not schedule.repeats:
        tips = tips.filter(last_sent__isnull=True)
    for tip in tips.order_by(Coalesce("last_sent", LONG_AGO), "position"):
        revision = tip.revisions.select_related("entry").order_by("-number").first()
        if revision is None or not revision.cites:
            continue
        if not is_authentic(revision):
            # What it cites, too, decides whether it may go out.
            log.error("tip was altered", tip_revision=revision.pk)
            continue
        found = standing(tip.subject, revision.text_digest(), now)
        if found.sign_off and may_send(revision, found, now):
            return revision, found.sign_off
    return None


def may_send(revision: TipRevision, found: Standing, now: datetime) -> bool:
    """Whether the tip's text and the live text of each cited article are in date."""
    return found.publishable and all(
        catalogue.live_standing(slug, now).publishable for slug in revision.cites
    )


def review_line(sign_off: SignOff) -> str:
    """What the mail says of its review, as plain as the page does."""
    if sign_off.demonstration:
        return "Demonstration only: not medically reviewed."
    signer = f"{sign_off.signer_name}, {sign_off.signer_credentials}"
    return f"Medically reviewed by {signer} on {sign_off.signed_at:%-d %B %Y}."


def first_tip_at(now: datetime | None = None) -> datetime | None:
    """When a person who confirms now gets the first tip; None without a schedule."""
    active = Schedule.objects.filter(active=True)
    slots = [one.next_slot(now or timezone.now()) for one in active]
    return min(slots, default=None)
