"""Who may hand over what, and until when. Each step is one conditional statement.

A claim is a lease with a fence: whoever lost it matches no row any more. No transaction
is open while a socket is.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.conf import settings
from django.db import connection, transaction
from django.utils import timezone
from psycopg import Cursor

CLAIM_SIZE = 200


@dataclass(frozen=True)
class Claim:
    """A delivery that this worker alone may hand over until its lease ends."""

    id: int
    fence: int
    key: UUID
    recipient_id: int
    batch_id: int | None
    dated_at: datetime
    # A single mail's own bytes; a batch has them once.
    message: bytes | None
    address: str
    recipient_key: UUID


def lease() -> timedelta:
    """Longer than two deadlines for each message of a window.

    A claim that ends while its worker is merely slow goes back to the queue; the fence
    keeps that worker from handing it over as well.
    """
    seconds = 2 * settings.MAIL_DEADLINE_SECONDS * settings.HANDOVER_WINDOW
    return timedelta(seconds=seconds)


@transaction.atomic
def claim(limit: int = CLAIM_SIZE) -> list[Claim]:
    """Take up to `limit` due deliveries, single mails before batches."""
    now = timezone.now()
    with prepared_cursor() as cursor:
        # The queue's index is in this order. Without statistics of a batch that was
        # just made the planner would sort all of it for each claim.
        cursor.execute("SET LOCAL enable_sort = off")
        cursor.execute("SET LOCAL enable_bitmapscan = off")
        cursor.execute(
            """
            WITH taken AS (
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
                RETURNING id, fence, key, recipient_id, batch_id, dated_at, message)
            SELECT taken.*, recipient.address, recipient.key
            FROM taken JOIN mail_recipient AS recipient
                ON recipient.id = taken.recipient_id
            """,
            [now + lease(), now, limit],
            prepare=True,
        )
        taken = [Claim(*row) for row in cursor.fetchall()]
    return sorted(taken, key=lambda one: (one.batch_id is not None, one.id))


def prepared_cursor() -> Cursor[Any]:
    """A cursor whose statements PostgreSQL plans once a connection.

    Django's own cursors put values into the text, which plans each window anew.
    """
    connection.ensure_connection()
    return Cursor(connection.connection)


def begin(claims: Sequence[Claim]) -> list[Claim]:
    """claimed -> handing_over for those whose consent stands and whose lease is ours.

    Asked at the moment of sending, in one statement: consent and sending can't race.
    A batch that was paused meanwhile keeps its deliveries; they are queued again.
    """
    ids, fences = [one.id for one in claims], [one.fence for one in claims]
    with prepared_cursor() as cursor:
        cursor.execute(
            """
            UPDATE mail_delivery AS delivery SET
                state = 'handing_over', attempts = attempts + 1, leased_until = %s
            FROM unnest(%s::bigint[], %s::bigint[]) AS mine (id, fence),
                mail_recipient AS recipient
            WHERE delivery.id = mine.id AND delivery.fence = mine.fence
                AND delivery.state = 'claimed'
                AND recipient.id = delivery.recipient_id
                AND CASE delivery.kind
                    WHEN 'tip' THEN
                        recipient.may_receive AND recipient.suppressed_at IS NULL
                    ELSE recipient.suppression <> 'manual' END
                AND (delivery.batch_id IS NULL OR EXISTS (
                    SELECT FROM mail_batch AS batch
                    WHERE batch.id = delivery.batch_id AND batch.state = 'running'))
            RETURNING delivery.id
            """,
            [timezone.now() + lease(), ids, fences],
            prepare=True,
        )
        begun = {row[0] for row in cursor.fetchall()}
        left = [one for one in claims if one.id not in begun]
        if left:
            _let_go(left)
    return [one for one in claims if one.id in begun]


def _let_go(claims: Sequence[Claim]) -> None:
    """What could not begin: queued again in a held batch, dropped without consent."""
    ids, fences = [one.id for one in claims], [one.fence for one in claims]
    with connection.cursor() as cursor:
        cursor.execute(
            """
            UPDATE mail_delivery AS delivery SET
                state = CASE WHEN held THEN 'queued' ELSE 'dropped' END,
                reason = CASE WHEN held THEN 'the batch is held'
                    ELSE 'recipient may not receive this' END,
                leased_until = NULL,
                finished_at = CASE WHEN held THEN NULL ELSE %s END,
                message = CASE WHEN held THEN message END
            FROM unnest(%s::bigint[], %s::bigint[]) AS mine (id, fence),
                LATERAL (SELECT EXISTS (
                    SELECT FROM mail_batch AS batch
                    JOIN mail_delivery AS own ON own.batch_id = batch.id
                    WHERE own.id = mine.id AND batch.state <> 'running'
                ) AS held) AS batch
            WHERE delivery.id = mine.id AND delivery.fence = mine.fence
                AND delivery.state = 'claimed'
            """,
            [timezone.now(), ids, fences],
        )
