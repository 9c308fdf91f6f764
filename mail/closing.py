"""When a batch has ended: each of its deliveries has a fate, and they add up."""

import structlog
from django.db import transaction
from django.db.models import Exists, OuterRef
from django.utils import timezone

from mail.counting import counts
from mail.models import Batch, Delivery, QueueEntry

log = structlog.get_logger(__name__)
State = Batch.State


def finish_batches() -> None:
    """Close each running or cancelled batch whose deliveries all have a fate.

    One whose fates are not as many as its eligible people stays open: somebody is
    missing.
    """
    mine = QueueEntry.objects.filter(batch=OuterRef("pk"))
    open_ones = Batch.objects.filter(
        # One question an index: the queue may hold a million rows of other batches.
        ~Exists(mine.filter(claimed_until__isnull=True)),
        ~Exists(mine.filter(claimed_until__isnull=False)),
        state__in=[State.RUNNING, State.CANCELLED],
        finished_at__isnull=True,
    )
    for batch in open_ones.defer("message"):
        _close(batch)


def _close(batch: Batch) -> None:
    found = counts(batch)
    if not found.add_up:
        log.error("batch does not add up", batch=batch.pk, eligible=found.eligible)
        return
    after = State.FINISHED if batch.state == State.RUNNING else State.CANCELLED
    Batch.objects.filter(
        pk=batch.pk, state=batch.state, finished_at__isnull=True
    ).update(state=after, finished_at=timezone.now())


def drop_cancelled() -> None:
    """Drop what came back to the queue of a batch after it was cancelled."""
    still_open = Batch.objects.filter(state=State.CANCELLED, finished_at__isnull=True)
    for batch_id in still_open.values_list("pk", flat=True):
        drop_waiting_of(batch_id)


@transaction.atomic
def drop_waiting_of(batch_id: int) -> int:
    """Drop what of the batch has not begun to leave; how many.

    Rows that a worker has its hand on are left out: waiting for each other in
    different order would be a deadlock. They leave, or the sweep drops them.
    """
    free = (
        Delivery.objects.waiting()
        .filter(batch=batch_id)
        .select_for_update(skip_locked=True, of=("self",))
    )
    return Delivery.objects.filter(pk__in=free.values("pk")).update(
        state=Delivery.State.DROPPED,
        reason="cancelled",
        leased_until=None,
        finished_at=timezone.now(),
    )
