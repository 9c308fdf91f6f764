"""What became of a message, written down once.

Every change names the state and the fence it expects; whoever comes second changes
nothing.
"""

import random
from collections.abc import Sequence
from datetime import timedelta

import structlog
from django.utils import timezone

from mail.claiming import Claim, prepared_cursor
from mail.models import Batch, Delivery, Recipient
from mail.smtp import Fate, Outcome

log = structlog.get_logger(__name__)

FIRST_RETRY = timedelta(minutes=1)
LONGEST_RETRY = timedelta(hours=4)
State = Delivery.State


def settle(done: Sequence[tuple[Claim, Outcome]]) -> None:
    """Write down each outcome; the accepted ones, nearly all, in one statement."""
    accepted = [pair for pair in done if pair[1].fate is Fate.ACCEPTED]
    if accepted:
        _accept(accepted)
    for one, outcome in done:
        if outcome.fate is not Fate.ACCEPTED:
            _settle(one, outcome)


def _accept(done: Sequence[tuple[Claim, Outcome]]) -> None:
    with prepared_cursor() as cursor:
        cursor.execute(
            """
            UPDATE mail_delivery AS delivery SET
                state = 'accepted', smtp_reply = mine.reply, reason = '',
                leased_until = NULL, finished_at = %s, message = NULL
            FROM unnest(%s::bigint[], %s::bigint[], %s::text[])
                AS mine (id, fence, reply)
            WHERE delivery.id = mine.id AND delivery.fence = mine.fence
                AND delivery.state = 'handing_over'
            """,
            [
                timezone.now(),
                [one.id for one, _ in done],
                [one.fence for one, _ in done],
                [outcome.reply for _, outcome in done],
            ],
            prepare=True,
        )


def _settle(one: Claim, outcome: Outcome) -> None:
    reply, reason = outcome.reply, outcome.reason
    if outcome.fate is Fate.UNCERTAIN:
        log.warning("delivery uncertain", delivery=one.id, reason=reason)
        _note(one, State.HANDING_OVER, State.UNCERTAIN, reason=reason)
    elif outcome.fate is Fate.REFUSED:
        _note(one, State.HANDING_OVER, State.REFUSED, reply=reply, reason=reason)
        if outcome.no_such_mailbox:
            suppress(one.recipient_id, Recipient.Suppression.HARD_BOUNCE)
    else:
        requeue(one, State.HANDING_OVER, reply=reply, reason=reason)
        if outcome.fate is Fate.SENDER_REFUSED and one.batch_id:
            pause(one.batch_id, reason=f"the mail server refused the sender: {reply}")


def refuse_unmade(one: Claim, error: Exception) -> None:
    """A message that can't be made fails alone; the rest of its batch goes on."""
    reason = f"building: {type(error).__name__}"
    _note(one, State.CLAIMED, State.REFUSED, reason=reason)


def _note(
    one: Claim, before: State, after: State, *, reply: str = "", reason: str = ""
) -> None:
    """Write a final fate, unless somebody else already did."""
    forgotten = {} if after is State.UNCERTAIN else {"message": None}
    Delivery.objects.filter(pk=one.id, state=before, fence=one.fence).update(
        state=after,
        smtp_reply=reply,
        reason=reason[:100],
        leased_until=None,
        finished_at=timezone.now(),
        **forgotten,
    )


def requeue(one: Claim, before: State, *, reply: str = "", reason: str) -> None:
    """Back to the queue with a growing, jittered gap (RFC 5321 section 4.5.4.1)."""
    row = Delivery.objects.get(pk=one.id)
    Delivery.objects.filter(pk=one.id, state=before, fence=one.fence).update(
        state=State.QUEUED,
        leased_until=None,
        smtp_reply=reply,
        reason=reason[:100],
        due_at=timezone.now() + retry_gap(row.attempts),
    )


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


def pause(batch_id: int, *, reason: str) -> None:
    """Hold a running batch until a person looks at it."""
    Batch.objects.filter(pk=batch_id, state=Batch.State.RUNNING).update(
        state=Batch.State.PAUSED, pause_reason=reason[:200]
    )
    log.error("batch paused", batch=batch_id, reason=reason)
