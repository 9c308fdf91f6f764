"""Claim, hand over, note the fate. Nobody twice, nobody lost.

Every change is a conditional UPDATE that names the state and the fence it expects;
whoever comes second changes nothing. No transaction is open while a socket is.
"""

import email
import email.policy
import random
import smtplib
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

import structlog
from django.conf import settings
from django.db import connection, transaction
from django.db.models import F
from django.utils import timezone

from mail import building
from mail.models import GIVE_UP_AFTER, Batch, Delivery, Recipient
from mail.smtp import Conversation, Fate, Outcome

log = structlog.get_logger(__name__)

CLAIM_SIZE = 20
FIRST_RETRY = timedelta(minutes=1)
LONGEST_RETRY = timedelta(hours=4)
State = Delivery.State


@dataclass(frozen=True)
class Claim:
    """A delivery that this worker alone may hand over until its lease ends."""

    id: int
    fence: int
    key: UUID
    recipient_id: int
    batch_id: int | None


def lease() -> timedelta:
    """Longer than two deadlines for each message of a claim."""
    return timedelta(seconds=2 * settings.MAIL_DEADLINE_SECONDS * CLAIM_SIZE)


def send_due() -> int:
    """Hand over what is due until nothing is left; the number of claims worked on."""
    worked = 0
    while claims := claim():
        worked += len(claims)
        try:
            with Conversation(
                settings.MAIL_SERVER, deadline_seconds=settings.MAIL_DEADLINE_SECONDS
            ) as conversation:
                unused = _hand_over_all(conversation, claims)
        except (smtplib.SMTPException, OSError) as error:
            log.warning("mail server unreachable", error=type(error).__name__)
            _postpone(claims, reason="mail server unreachable")
            break
        _postpone(unused, reason="connection ended", soon=True)
    _finish_batches()
    return worked


@transaction.atomic
def claim(limit: int = CLAIM_SIZE) -> list[Claim]:
    """Take up to `limit` due deliveries, single mails before batches."""
    now = timezone.now()
    with connection.cursor() as cursor:
        cursor.execute(
            """
            UPDATE mail_delivery SET
                state = 'claimed', fence = fence + 1, leased_until = %s
            WHERE id IN (
                SELECT delivery.id FROM mail_delivery AS delivery
                LEFT JOIN mail_batch AS batch ON batch.id = delivery.batch_id
                WHERE delivery.state = 'queued' AND delivery.due_at <= %s
                    AND (batch.id IS NULL OR batch.state = 'running')
                ORDER BY (delivery.batch_id IS NOT NULL), delivery.due_at
                LIMIT %s
                FOR UPDATE OF delivery SKIP LOCKED)
            RETURNING id, fence, key, recipient_id, batch_id
            """,
            [now + lease(), now, limit],
        )
        return [Claim(*row) for row in cursor.fetchall()]


def _hand_over_all(conversation: Conversation, claims: list[Claim]) -> list[Claim]:
    """Hand over until the connection is spent; the claims it did not get to."""
    for done, one in enumerate(claims, 1):
        outcome = hand_over(conversation, one)
        if outcome and not outcome.reusable:
            return claims[done:]
    return []


def hand_over(conversation: Conversation, one: Claim) -> Outcome | None:
    """Hand over one claim and note its fate; None when it may not be sent (any more).

    The row says `handing_over`, committed, before a byte of the message leaves.
    """
    try:
        address, message = _filled(one, conversation.takes_8bit)
    except Exception as error:
        # A recipient whose message can't be made fails alone; the error is kept whole
        # in the log and by name in the row, and the rest of the batch goes on.
        log.exception("message could not be made", delivery=one.id)
        _note(
            one,
            State.CLAIMED,
            State.REFUSED,
            reason=f"building: {type(error).__name__}",
        )
        return None
    if not _begin(one):
        _drop_unmailable(one)
        return None
    outcome = conversation.hand_over(
        building.envelope_sender(one.key), address, message
    )
    _note_outcome(one, outcome)
    return outcome


def _filled(one: Claim, takes_8bit: bool) -> tuple[str, bytes]:
    delivery = Delivery.objects.select_related("recipient", "batch").get(pk=one.id)
    built = delivery.batch.message if delivery.batch else delivery.message
    if built is None:
        raise ValueError("the message's bytes are gone")
    message = building.fill(
        bytes(built),
        to=delivery.recipient.address,
        key=delivery.key,
        recipient_key=delivery.recipient.key,
        dated_at=delivery.dated_at,
    )
    if not takes_8bit and not message.isascii():
        parsed = email.message_from_bytes(message, policy=email.policy.SMTP)
        message = parsed.as_bytes(policy=email.policy.SMTP.clone(cte_type="7bit"))
    return delivery.recipient.address, message


def _begin(one: Claim) -> bool:
    """claimed -> handing_over, if consent stands and the lease is still ours."""
    return bool(
        Delivery.objects.mailable()
        .filter(pk=one.id, state=State.CLAIMED, fence=one.fence)
        .update(state=State.HANDING_OVER, attempts=F("attempts") + 1)
    )


def _drop_unmailable(one: Claim) -> None:
    _note(one, State.CLAIMED, State.DROPPED, reason="recipient may not receive this")


def _note_outcome(one: Claim, outcome: Outcome) -> None:
    reply, reason = outcome.reply, outcome.reason
    if outcome.fate is Fate.ACCEPTED:
        _note(one, State.HANDING_OVER, State.ACCEPTED, reply=reply)
    elif outcome.fate is Fate.UNCERTAIN:
        log.warning("delivery uncertain", delivery=one.id, reason=reason)
        _note(one, State.HANDING_OVER, State.UNCERTAIN, reason=reason)
    elif outcome.fate is Fate.REFUSED:
        _note(one, State.HANDING_OVER, State.REFUSED, reply=reply, reason=reason)
        if outcome.no_such_mailbox:
            suppress(one.recipient_id, Recipient.Suppression.HARD_BOUNCE)
    else:
        _requeue(one, State.HANDING_OVER, reply=reply, reason=reason)
        if outcome.fate is Fate.SENDER_REFUSED and one.batch_id:
            pause(one.batch_id, reason=f"the mail server refused the sender: {reply}")


def _note(
    one: Claim, before: State, after: State, *, reply: str = "", reason: str = ""
) -> bool:
    """Write a final fate, unless somebody else already did."""
    forgotten = {} if after is State.UNCERTAIN else {"message": None}
    return bool(
        Delivery.objects.filter(pk=one.id, state=before, fence=one.fence).update(
            state=after,
            smtp_reply=reply,
            reason=reason[:100],
            leased_until=None,
            finished_at=timezone.now(),
            **forgotten,
        )
    )


def _requeue(
    one: Claim, before: State, *, reply: str = "", reason: str, soon: bool = False
) -> None:
    """Back to the queue with a growing, jittered gap (RFC 5321 section 4.5.4.1)."""
    row = Delivery.objects.get(pk=one.id)
    now = timezone.now()
    Delivery.objects.filter(pk=one.id, state=before, fence=one.fence).update(
        state=State.QUEUED,
        leased_until=None,
        smtp_reply=reply,
        reason=reason[:100],
        due_at=now if soon else now + retry_gap(row.attempts),
    )


def retry_gap(attempts: int) -> timedelta:
    """1, 2, 4 … minutes up to 4 hours, each a quarter shorter to a quarter longer."""
    gap = min(FIRST_RETRY * 2 ** min(max(attempts - 1, 0), 12), LONGEST_RETRY)
    jitter = random.uniform(0.75, 1.25)  # noqa: S311 - spreads load, guards nothing
    return timedelta(seconds=gap.total_seconds() * jitter)


def _postpone(claims: list[Claim], *, reason: str, soon: bool = False) -> None:
    for one in claims:
        _requeue(one, State.CLAIMED, reason=reason, soon=soon)


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


def sweep(now: datetime | None = None) -> None:
    """Find what crashes left: leases that ended, mails too old to send.

    A row that was being handed over may have arrived: it becomes uncertain and is
    shown to a person. Nothing resends it by itself.
    """
    now = now or timezone.now()
    ended = Delivery.objects.filter(leased_until__lt=now)
    ended.filter(state=State.CLAIMED).update(
        state=State.QUEUED, leased_until=None, reason="its worker vanished"
    )
    lost = ended.filter(state=State.HANDING_OVER).update(
        state=State.UNCERTAIN,
        reason="its worker vanished while handing over",
        leased_until=None,
        finished_at=now,
    )
    if lost:
        log.error("deliveries uncertain", count=lost)
    Delivery.objects.filter(
        state=State.QUEUED, dated_at__lt=now - GIVE_UP_AFTER
    ).update(state=State.REFUSED, reason="expired", finished_at=now, message=None)
    _finish_batches()


def _finish_batches() -> None:
    """A batch is finished when each of its deliveries has a fate."""
    unfinished = Delivery.objects.unfinished().filter(batch__isnull=False)
    Batch.objects.filter(state=Batch.State.RUNNING).exclude(
        pk__in=unfinished.values("batch")
    ).update(state=Batch.State.FINISHED, finished_at=timezone.now())
