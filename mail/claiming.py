"""Which worker works on what, for how long. A claim spares others the work.

It lives in the queue alone and decides nothing: whoever turns `queued` into
`handing_over` first (see `books`) hands over, with or without a claim.
"""

import random
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import datetime, timedelta
from typing import Any, NamedTuple
from uuid import UUID

from django.conf import settings
from django.db import DatabaseError, connection
from django.utils import timezone
from psycopg import Cursor

from mail.guard import may_send
from mail.models import Batch, Delivery, QueueEntry
from mail.overdue import hold_overdue

# At most; what a sender hands over in a second, where that is less.
CLAIM_SIZE = 1000
# Every statement of a sender finds its rows by an index; without statistics of a batch
# that was just made the planner would sort or scan all of it. One plan a connection.
_PLANS = {
    "plan_cache_mode": "force_generic_plan",
    **dict.fromkeys(("enable_seqscan", "enable_sort", "enable_bitmapscan"), "off"),
    **dict.fromkeys(("enable_hashjoin", "enable_mergejoin"), "off"),
}
# Materialised: as a subquery the planner may run it once for each row of the queue,
# and take the next few each time.
_CLAIM = """
    WITH free AS MATERIALIZED (
        SELECT delivery_id FROM mail_queueentry
        WHERE {whose} AND claimed_until IS NULL AND due_at <= %s
        ORDER BY due_at LIMIT %s FOR UPDATE SKIP LOCKED),
    taken AS (
        UPDATE mail_queueentry AS entry SET claimed_until = %s
        FROM free WHERE entry.delivery_id = free.delivery_id
        RETURNING entry.delivery_id)
    SELECT delivery.id, delivery.key, delivery.recipient_id, delivery.batch_id,
        delivery.dated_at, delivery.message, recipient.address, recipient.key
    FROM taken
    JOIN mail_delivery AS delivery ON delivery.id = taken.delivery_id
    JOIN mail_recipient AS recipient ON recipient.id = delivery.recipient_id
    WHERE delivery.state = 'queued'
"""
_CLAIM_SINGLES = _CLAIM.format(whose="batch_id IS NULL")
_CLAIM_BATCH = _CLAIM.format(whose="batch_id = %s")


class Claim(NamedTuple):
    """A delivery that its worker means to hand over before the claim ends."""

    id: int
    key: UUID
    recipient_id: int
    batch_id: int | None
    dated_at: datetime
    # A single mail's own bytes; a batch has them once.
    message: bytes | None
    address: str
    recipient_key: UUID


def lease() -> timedelta:
    """How long a worker may be silent: two deadlines for each message of a window."""
    seconds = 2 * settings.MAIL_DEADLINE_SECONDS * settings.HANDOVER_WINDOW
    return timedelta(seconds=seconds)


def claim(limit: int = CLAIM_SIZE) -> list[Claim]:
    """Take up to `limit` due deliveries, single mails first.

    None in an environment that may not send, and none of a batch that is overdue:
    that one is held first.
    """
    if not may_send():
        return []
    now = timezone.now()
    hold_overdue(now)
    taken = _claimed(_CLAIM_SINGLES, [now, limit, now + lease()])
    for batch_id in _running() if len(taken) < limit else []:
        rest = limit - len(taken)
        taken += _claimed(_CLAIM_BATCH, [batch_id, now, rest, now + lease()])
        if len(taken) >= limit:
            break
    return taken


def is_due() -> bool:
    """Whether a claim would find something: asked before a connection is opened."""
    due = QueueEntry.objects.filter(
        claimed_until__isnull=True, due_at__lte=timezone.now()
    )
    return (
        due.filter(batch__isnull=True).exists()
        or due.filter(batch__in=list(_running())).exists()
    )


def release(ids: list[int]) -> None:
    """Let others have these at once, but for those that somebody is handing over."""
    QueueEntry.objects.filter(
        delivery__in=ids, delivery__state=Delivery.State.QUEUED
    ).update(claimed_until=None)


def _running() -> list[int]:
    """In another order each time: a large batch keeps no other one waiting."""
    running = Batch.objects.filter(state=Batch.State.RUNNING)
    found = list(running.values_list("pk", flat=True))
    random.shuffle(found)
    return found


def _claimed(statement: str, params: list[Any]) -> list[Claim]:
    with prepared_cursor() as cursor:
        # Django's own reader of a time as text takes longer than all other columns.
        cursor.execute(statement, params, prepare=True, binary=True)
        return [Claim(*row) for row in cursor.fetchall()]


class _Sender(threading.local):
    """Whether this thread sends, and the connection that has a sender's plans."""

    is_sending = False
    planned: Any = None


_sender = _Sender()


@contextmanager
def by_index() -> Iterator[None]:
    """A sender's plans for this thread's connections, while it sends."""
    _sender.is_sending = True
    try:
        yield
    finally:
        _sender.is_sending = False
        if _sender.planned is not None and _sender.planned is connection.connection:
            # A connection that broke meanwhile has no plans to forget.
            with suppress(DatabaseError), connection.cursor() as cursor:
                cursor.execute("; ".join(f"RESET {name}" for name in _PLANS))
        _sender.planned = None


@contextmanager
def prepared_cursor() -> Iterator[Cursor[Any]]:
    """A cursor whose statements PostgreSQL plans once a connection.

    Django's own cursors put values into the text, which plans each window anew. Errors
    are Django's here too.
    """
    connection.ensure_connection()
    raw = connection.connection
    # None, which Django sets, means never: not even for prepare=True.
    raw.prepare_threshold = 1
    with connection.wrap_database_errors, Cursor(raw) as cursor:
        if _sender.is_sending and _sender.planned is not raw:
            cursor.execute(
                "; ".join(f"SET {name} = {to}" for name, to in _PLANS.items())
            )
            _sender.planned = raw
        yield cursor
