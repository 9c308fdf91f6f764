"""What became of a message, written down once.

Every change names the state and the fence it expects; whoever comes second changes
nothing.
"""

import random
from datetime import timedelta

import structlog
from django.db import transaction
from django.utils import timezone

from mail.books import Handover
from mail.claiming import Claim
from mail.closing import reopen
from mail.models import Delivery, DeliveryQuerySet, Recipient
from mail.pausing import pause
from mail.smtp import Fate, Outcome

log = structlog.get_logger(__name__)

FIRST_RETRY = timedelta(minutes=1)
LONGEST_RETRY = timedelta(hours=4)
State = Delivery.State


def settle(one: Handover, outcome: Outcome) -> None:
    """Write down an outcome that is not `accepted`; those are noted in the books."""
    reply, reason = outcome.reply, outcome.reason
    if outcome.fate is Fate.UNCERTAIN:
        log.warning("delivery uncertain", delivery=one.claim.id, reason=reason)
        _finish(one, State.UNCERTAIN, reason=reason)
    elif outcome.fate is Fate.REFUSED:
        _finish(one, State.REFUSED, reply=reply, reason=reason, message=None)
        if outcome.no_such_mailbox:
            suppress(one.claim.recipient_id, Recipient.Suppression.HARD_BOUNCE)
    else:
        _requeue(one, reply=reply, reason=reason)
        if outcome.fate is Fate.SENDER_REFUSED and one.claim.batch_id:
            reason = f"the mail server refused the sender: {reply}"
            pause(one.claim.batch_id, reason=reason)


def refuse_unmade(one: Claim, error: Exception) -> None:
    """A message that can't be made fails alone; the rest of its batch goes on."""
    Delivery.objects.waiting().filter(pk=one.id).update(
        state=State.REFUSED,
        reason=f"building: {type(error).__name__}"[:100],
        finished_at=timezone.now(),
        message=None,
    )


def _handed_over_by(one: Handover) -> DeliveryQuerySet:
    """The row, while the fate of this very hand-over is open or in doubt."""
    open_or_in_doubt = [State.HANDING_OVER, State.UNCERTAIN]
    return Delivery.objects.filter(
        pk=one.claim.id, state__in=open_or_in_doubt, fence=one.fence
    )


def _finish(
    one: Handover,
    fate: Delivery.State,
    *,
    reply: str = "",
    reason: str,
    **changes: None,
) -> None:
    _handed_over_by(one).update(
        state=fate,
        smtp_reply=reply,
        reason=reason[:100],
        leased_until=None,
        finished_at=timezone.now(),
        **changes,
    )


def _requeue(one: Handover, *, reply: str = "", reason: str) -> None:
    """Back to the queue with a growing, jittered gap (RFC 5321 section 4.5.4.1).

    What the sweep called uncertain meanwhile lets a finished batch go on; where that
    was cancelled or corrected it is dropped.
    """
    attempts = _handed_over_by(one).values_list("attempts", flat=True).first()
    if attempts is None:
        return
    changes = {
        "state": State.QUEUED,
        "leased_until": None,
        "finished_at": None,
        "smtp_reply": reply,
        "reason": reason[:100],
        "due_at": timezone.now() + retry_gap(attempts),
    }
    if _handed_over_by(one).filter(state=State.HANDING_OVER).update(**changes):
        return
    with transaction.atomic():
        if one.claim.batch_id is None or reopen(one.claim.batch_id):
            _handed_over_by(one).update(**changes)
        else:
            _finish(one, State.DROPPED, reply=reply, reason="cancelled", message=None)


def retry_gap(attempts: int) -> timedelta:
    """1, 2, 4 … minutes up to 4 hours, each a quarter shorter to a quarter longer."""
    gap = min(FIRST_RETRY * 2 ** min(max(attempts - 1, 0), 12), LONGEST_RETRY)
    jitter = random.uniform(0.75, 1.25)  # noqa: S311 - spreads load, guards nothing
    return timedelta(seconds=gap.total_seconds() * jitter)


def suppress(recipient_id: int, why: Recipient.Suppression) -> None:
    """Send nothing more to this mailbox; an earlier suppression stands."""
    Recipient.objects.filter(pk=recipient_id, suppressed_at__isnull=True).update(
        suppressed_at=timezone.now(), suppression=why
    )
