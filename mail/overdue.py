"""A batch that begins too late waits for a person.

After an outage yesterday's tip would go out at night, or beside today's. Whoever
resumes a held batch gives it another hour to begin.
"""

from datetime import datetime

from django.db import transaction
from django.db.models import Min, Q
from django.utils import timezone

from mail.models import OVERDUE_AFTER, Batch, Delivery, QueueEntry
from mail.pausing import pause

State = Delivery.State


def overdue_from(at: datetime) -> datetime:
    """When a batch that may begin `at` is overdue."""
    return at + OVERDUE_AFTER


@transaction.atomic
def hold_overdue(now: datetime | None = None) -> int:
    """Pause each running batch of which nothing left in its hour; how many.

    Asked before each claim. Of two workers the second one waits here for the first,
    so that neither claims what the other holds.
    """
    now = now or timezone.now()
    late = Batch.objects.filter(state=Batch.State.RUNNING, overdue_at__lte=now)
    return sum(
        _hold_unless_begun(batch, now)
        for batch in late.defer("message").order_by("pk").select_for_update()
    )


def _hold_unless_begun(batch: Batch, now: datetime) -> bool:
    if _has_begun(batch):
        _expect(batch, None)
        return False
    first = batch.deliveries.waiting().aggregate(at=Min("dated_at"))["at"]
    if first is None or overdue_from(first) > now:
        # Who was due first has left the list; the others' time is to come.
        _expect(batch, first and overdue_from(first))
        return False
    if _is_just_leaving(batch, now):
        # In time: how that ends decides at the next claim.
        return False
    return pause(batch.pk, reason=_reason(batch))


def _expect(batch: Batch, overdue_at: datetime | None) -> None:
    batch.overdue_at = overdue_at
    batch.save(update_fields=["overdue_at"])


def _has_begun(batch: Batch) -> bool:
    """Whether the mail server had a say on any of it; "later" does not count."""
    taken = Q(state__in=[State.ACCEPTED, State.UNCERTAIN])
    refused = Q(state=State.REFUSED, attempts__gt=0)
    return batch.deliveries.filter(taken | refused).exists()


def _is_just_leaving(batch: Batch, now: datetime) -> bool:
    """A claim that ended is no sign of life: its worker is gone."""
    claimed = QueueEntry.objects.filter(batch=batch, claimed_until__isnull=False)
    handing_over = Q(delivery__state=State.HANDING_OVER, delivery__leased_until__gt=now)
    return claimed.filter(Q(claimed_until__gt=now) | handing_over).exists()


def _reason(batch: Batch) -> str:
    return (
        f"Nothing had left by {batch.overdue_at:%H:%M UTC on %-d %B %Y}, an hour after "
        "its time. Start it again if people should still get it; a day after its time "
        "it expires."
    )
