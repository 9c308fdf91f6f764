"""Nobody forgets a review: 30 days before it runs out, on the day, then monthly."""

from datetime import datetime, timedelta

import structlog
from django.db import transaction
from django.utils import timezone

from ledger import is_redacted
from review import emails
from review.models import Clinician, Reminder, ReviewRequest, SignOff, TextInUse
from review.requesting import request
from review.standing_of import DUE_SOON, standing

log = structlog.get_logger(__name__)

MONTH = timedelta(days=30)


def remind(at: datetime | None = None) -> int:
    """Open the reviews that are coming due and tell people; how many mails.

    Safe to repeat: a stage is told once. After a time without a worker only the
    newest stage is told, not every one that was missed.
    """
    now = at or timezone.now()
    told = 0
    for text in TextInUse.objects.order_by("pk"):
        try:
            told += _remind_of(text, now)
        except Exception:
            # One text must not silence the others; it is tried again next time.
            log.exception("no reminder", subject=text.subject)
    return told


@transaction.atomic
def _remind_of(text: TextInUse, now: datetime) -> int:
    if is_redacted(text):
        # Nobody can read it, so nobody can sign it again.
        return 0
    found = standing(text.subject, text.digest, now).sign_off
    if found is None or found.verdict != SignOff.Verdict.APPROVED:
        return 0
    stage = stage_of(found.valid_until, now)
    if stage is None or not _is_first(found, stage):
        return 0
    return emails.due(text, found, stage, _renewal(text, found, now))


def _is_first(sign_off: SignOff, stage: int) -> bool:
    """Whether this call is the one that tells the stage."""
    return Reminder.objects.get_or_create(sign_off=sign_off, stage=stage)[1]


def stage_of(valid_until: datetime, now: datetime) -> int | None:
    """0 in the last 30 days, 1 from the day it ran out, then one more each month."""
    if now < valid_until - DUE_SOON:
        return None
    if now < valid_until:
        return 0
    return 1 + (now - valid_until) // MONTH


def _renewal(text: TextInUse, last: SignOff, now: datetime) -> ReviewRequest:
    """The request to sign the same text again; the last signer's, if they still can."""
    waiting = ReviewRequest.objects.open().filter(
        subject=text.subject, digest=text.digest
    )
    return waiting.first() or request(
        text.content,
        subject=text.subject,
        title=text.title,
        url=text.url,
        preview_url=text.preview_url,
        authors=text.author_ids,
        assignee=_still_fit(text, last.clinician, now),
        due_on=last.valid_until.date(),
        note="The last review of this text runs out. Please look at it again.",
        newer_text_at=text.newer_text_at,
        # The reminder itself says so.
        tell=False,
    )


def _still_fit(
    text: TextInUse, clinician: Clinician, now: datetime
) -> Clinician | None:
    fit = Clinician.objects.able_to_sign(now).exclude(user__in=text.author_ids)
    return fit.filter(pk=clinician.pk).first()
