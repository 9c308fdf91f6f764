"""What crashes left is found here, and what is done with is closed."""

from datetime import datetime
from typing import Any

import structlog
from django.db.models import QuerySet
from django.utils import timezone

from mail.closing import drop_cancelled, finish_batches
from mail.models import Batch, Delivery, QueueEntry
from mail.overdue import hold_overdue
from mail.recipients import forget_replies

log = structlog.get_logger(__name__)
State = Delivery.State


def sweep(now: datetime | None = None) -> None:
    """Find what crashes left: leases that ended, mails too old to send.

    A row that was being handed over may have arrived: it becomes uncertain and is
    shown to a person. Nothing resends it by itself.
    """
    now = now or timezone.now()
    # By their ids: in one statement PostgreSQL would join the whole queue for them.
    claimed = QueueEntry.objects.filter(claimed_until__lt=now)
    ended = list(claimed.values_list("pk", flat=True))
    # Nobody claims there any more what lost its claim on the way.
    cancelled = QueueEntry.objects.filter(batch__state=Batch.State.CANCELLED)
    lost = _call_uncertain(ended, now) + _call_uncertain(cancelled.values("pk"), now)
    claimed.filter(pk__in=ended, delivery__state=State.QUEUED).update(
        claimed_until=None
    )
    if lost:
        log.error("deliveries uncertain", count=lost)
    Delivery.objects.waiting().filter(
        queue_entry__isnull=False, expires_at__lte=now
    ).update(state=State.REFUSED, reason="expired", finished_at=now, message=None)
    hold_overdue(now)
    drop_cancelled()
    forget_replies()
    finish_batches()


def _call_uncertain(ids: list[int] | QuerySet[Any, Any], now: datetime) -> int:
    return Delivery.objects.filter(
        pk__in=ids, state=State.HANDING_OVER, leased_until__lt=now
    ).update(
        state=State.UNCERTAIN,
        reason="its worker vanished while handing over",
        leased_until=None,
        finished_at=now,
    )
