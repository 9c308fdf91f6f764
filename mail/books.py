"""The moment of sending, written down for many connections together.

One statement notes what was accepted and turns queued deliveries into handing_over; it
is committed before their bodies leave. It costs PostgreSQL nearly the same whether it
is about one message or eighty.
"""

from collections.abc import Sequence
from typing import NamedTuple

import structlog
from django.db import DatabaseError, connection
from django.utils import timezone

from mail.claiming import Claim, lease, prepared_cursor, release
from mail.outages import persistently

log = structlog.get_logger(__name__)

# A person's consent for tips; a block by hand for everything else.
_MAY_RECEIVE = """
    CASE delivery.kind
    WHEN 'tip' THEN recipient.may_receive AND recipient.suppressed_at IS NULL
    ELSE recipient.suppression <> 'manual' END
"""
_IS_HELD = """
    EXISTS (SELECT FROM mail_batch AS batch
        WHERE batch.id = delivery.batch_id AND batch.state <> 'running')
"""
# An outcome that comes after its lease still settles what the sweep called uncertain,
# or what a person queued again: the fence says that it is about this very hand-over.
_EXCHANGE = f"""
    WITH accepted AS (
        UPDATE mail_delivery AS delivery SET
            state = 'accepted', smtp_reply = mine.reply, reason = '',
            leased_until = NULL, finished_at = %s, message = NULL
        FROM unnest(%s::bigint[], %s::bigint[], %s::text[]) AS mine (id, fence, reply)
        WHERE delivery.id = mine.id AND delivery.fence = mine.fence
            AND delivery.state IN ('handing_over', 'uncertain', 'queued')),
    begun AS (
        UPDATE mail_delivery AS delivery SET
            state = 'handing_over', attempts = attempts + 1, fence = fence + 1,
            leased_until = %s
        FROM unnest(%s::bigint[]) AS mine (id), mail_recipient AS recipient
        WHERE delivery.id = mine.id AND delivery.state = 'queued'
            AND delivery.due_at <= %s AND delivery.expires_at > %s
            AND recipient.id = delivery.recipient_id
            AND {_MAY_RECEIVE} AND NOT {_IS_HELD}
        RETURNING delivery.id, delivery.fence)
    SELECT id, fence FROM begun
"""  # noqa: S608 - constants
_GIVE_UP = f"""
    UPDATE mail_delivery AS delivery SET
        state = CASE WHEN {_MAY_RECEIVE} THEN 'refused' ELSE 'dropped' END,
        reason = CASE WHEN {_MAY_RECEIVE} THEN 'expired'
            ELSE 'recipient may not receive this' END,
        finished_at = %s, message = NULL
    FROM mail_recipient AS recipient
    WHERE delivery.id = ANY(%s::bigint[]) AND delivery.state = 'queued'
        AND recipient.id = delivery.recipient_id
        AND (NOT ({_MAY_RECEIVE}) OR delivery.expires_at <= %s) AND NOT {_IS_HELD}
"""  # noqa: S608 - constants


class Handover(NamedTuple):
    """A delivery that is being handed over, and by which of its hand-overs."""

    claim: Claim
    fence: int
    reply: str = ""


def exchange(accepted: Sequence[Handover], wanted: Sequence[Claim]) -> list[Handover]:
    """Note `accepted`; those of `wanted` whose bodies may leave now.

    The rest stays out for a reason that is written down: no consent any more, past its
    day, a batch that is held, somebody else was first. Waits for a database that is
    away.
    """
    # PostgreSQL changes a row once in a statement: that it was taken counts.
    taken = {one.claim.id for one in accepted}
    claims = {one.id: one for one in wanted if one.id not in taken}
    begun = persistently(lambda: _write_down(accepted, claims))
    left = claims.keys() - {one.claim.id for one in begun}
    if left:
        _let_go(list(left))
    return begun


def _write_down(
    accepted: Sequence[Handover], wanted: dict[int, Claim]
) -> list[Handover]:
    now = timezone.now()
    with prepared_cursor() as cursor:
        cursor.execute(
            _EXCHANGE,
            [
                now,
                [one.claim.id for one in accepted],
                [one.fence for one in accepted],
                [one.reply for one in accepted],
                now + lease(),
                list(wanted),
                now,
                now,
            ],
            prepare=True,
        )
        return [Handover(wanted[one], fence) for one, fence in cursor.fetchall()]


def _let_go(ids: list[int]) -> None:
    """Give up those without consent or past their day; the rest is anybody's again."""
    now = timezone.now()
    try:
        with connection.cursor() as cursor:
            cursor.execute(_GIVE_UP, [now, ids, now])
        release(ids)
    except DatabaseError:
        # Their claims end by themselves; those that were begun must not wait.
        log.warning("database away, claims were not let go", count=len(ids))
        connection.close()
