"""When a batch has ended: each of its deliveries has a fate, and they add up."""

import structlog
from django.db import transaction
from django.db.models import Exists, OuterRef, QuerySet
from django.utils import timezone

from mail.counting import counts
from mail.models import Batch, Delivery, QueueEntry

log = structlog.get_logger(__name__)
State = Batch.State
# Rows that are dropped in one transaction: some tenths of a second.
PIECE = 5_000


def finish_batches() -> None:
    """Close each running or cancelled batch whose deliveries all have a fate.

    One whose fates are not as many as its eligible people stays open: somebody is
    missing.
    """
    for batch_id in _open_and_empty(Batch.objects.all()).values_list("pk", flat=True):
        _close(batch_id)


def _open_and_empty(batches: QuerySet[Batch]) -> QuerySet[Batch]:
    mine = QueueEntry.objects.filter(batch=OuterRef("pk"))
    return batches.filter(
        # One question an index: the queue may hold a million rows of other batches.
        ~Exists(mine.filter(claimed_until__isnull=True)),
        ~Exists(mine.filter(claimed_until__isnull=False)),
        state__in=[State.RUNNING, State.CANCELLED],
        finished_at__isnull=True,
    )


@transaction.atomic
def _close(batch_id: int) -> None:
    """Nobody reopens, pauses or cancels it while it is counted; senders go on."""
    unlocked = Batch.objects.select_for_update(no_key=True, skip_locked=True)
    batch = _open_and_empty(unlocked).filter(pk=batch_id).defer("message").first()
    if batch is None:
        return
    found = counts(batch)
    if not found.add_up:
        log.error("batch does not add up", batch=batch.pk, eligible=found.eligible)
        return
    if batch.state == State.RUNNING:
        batch.state = State.FINISHED
    batch.finished_at = timezone.now()
    batch.reached_nobody = not found.of(*Delivery.REACHING)
    batch.save(update_fields=["state", "finished_at", "reached_nobody"])


def reopen(batch_id: int) -> bool:
    """Let a finished batch go on, for a delivery that is queued again.

    False: its text should not go out, for it was cancelled or corrected. Call it in
    the transaction that queues.
    """
    mine = Batch.objects.filter(pk=batch_id)
    list(mine.select_for_update(no_key=True).values_list("pk"))
    if mine.withdrawn().exists():
        return False
    mine.go_on()
    return True


def drop_cancelled() -> None:
    """Drop what still waits of cancelled batches, or came back to their queue."""
    still_open = Batch.objects.filter(state=State.CANCELLED, finished_at__isnull=True)
    for batch_id in still_open.values_list("pk", flat=True):
        while drop_piece_of(batch_id):
            pass


@transaction.atomic
def drop_piece_of(batch_id: int) -> int:
    """Drop some of what has not begun to leave of the batch; how many.

    In pieces, so that no exchange waits for a million rows. Rows that a worker has its
    hand on are left out: waiting for each other in different order would be a deadlock.
    They leave, or the sweep drops them.
    """
    mine = QueueEntry.objects.filter(batch=batch_id)
    waiting = (
        Delivery.objects.waiting()
        .filter(queue_entry__in=mine.filter(claimed_until__isnull=is_free))
        .select_for_update(skip_locked=True, of=("self",))
        .values_list("pk", flat=True)
        for is_free in (True, False)
    )
    return Delivery.objects.filter(
        pk__in=[pk for found in waiting for pk in found[:PIECE]]
    ).update(
        state=Delivery.State.DROPPED,
        reason="cancelled",
        leased_until=None,
        finished_at=timezone.now(),
    )
