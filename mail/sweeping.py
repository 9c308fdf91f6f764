"""What crashes left is found here, and what is done with is closed."""

from datetime import datetime

import structlog
from django.utils import timezone

from mail.models import GIVE_UP_AFTER, Batch, Delivery

log = structlog.get_logger(__name__)
State = Delivery.State


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
    finish_batches()


def finish_batches() -> None:
    """A batch is finished when each of its deliveries has a fate."""
    unfinished = Delivery.objects.unfinished().filter(batch__isnull=False)
    Batch.objects.filter(state=Batch.State.RUNNING).exclude(
        pk__in=unfinished.values("batch")
    ).update(state=Batch.State.FINISHED, finished_at=timezone.now())
