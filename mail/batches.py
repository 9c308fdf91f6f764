"""What people do with a batch (and `pausing` is the brake).

Each verb is one conditional change and says whether this call made it: of two clicks
one does. What was done, by whom and why stands in the batch's events.
"""

from typing import Any

from django.contrib.auth.models import User
from django.db import transaction
from django.utils import timezone

from mail.building import TipMail
from mail.closing import drop_piece_of, finish_batches
from mail.counting import counts
from mail.hints import wake
from mail.models import Batch, BatchEvent, Recipient, RecipientQuerySet
from mail.objections import refuse_unfit
from mail.overdue import overdue_from
from mail.pacing import spread
from mail.pausing import note
from mail.queueing import SEND_DUE, SWEEP, start_batch

Act = BatchEvent.Act
State = Batch.State


@transaction.atomic
def resume(batch_id: int, *, by: User) -> bool:
    """Let a paused batch go on with what waits.

    Raises MayNotGoOn when its text may not be sent now.
    """
    refuse_unfit([batch_id])
    batch = Batch.objects.select_for_update(no_key=True).get(pk=batch_id)
    if batch.state != State.PAUSED:
        return False
    note(batch_id, Act.RESUMED, by=by, about=f"It was paused: {batch.pause_reason}")
    batch.state, batch.pause_reason = State.RUNNING, ""
    # It has another hour to begin.
    batch.overdue_at = overdue_from(timezone.now())
    batch.save(update_fields=["state", "pause_reason", "overdue_at"])
    spread(batch)
    wake(SEND_DUE)
    return True


def cancel(batch_id: int, *, reason: str, by: User) -> int | None:
    """Send nothing more of it; how many were dropped, or None if it had ended.

    Nothing leaves once this is committed, but what is just being handed over finishes.
    Of many the sweep, which is woken, drops the rest.
    """
    if not _is_cancelled(batch_id, reason=reason, by=by):
        return None
    dropped = drop_piece_of(batch_id)
    finish_batches()
    return dropped


@transaction.atomic
def _is_cancelled(batch_id: int, *, reason: str, by: User) -> bool:
    cancelled = Batch.objects.filter(
        pk=batch_id, state__in=[State.RUNNING, State.PAUSED]
    ).update(state=State.CANCELLED, pause_reason="")
    if cancelled:
        note(batch_id, Act.CANCELLED, by=by, about=reason)
        wake(SWEEP)
    return bool(cancelled)


@transaction.atomic
def correct(
    batch: Batch, *, name: str, mail: TipMail, warrant: dict[str, Any], by: User
) -> Batch | None:
    """Queue `mail` for exactly those who got `batch` and may still be mailed.

    None when that is nobody, or while some of `batch` has no fate: whoever waits
    would get the old text after the new one was sent.
    """
    batch = Batch.objects.select_for_update(no_key=True).get(pk=batch.pk)
    if not has_ended(batch):
        return None
    correction = start_batch(
        name=name,
        mail=mail,
        recipients=to_correct(batch),
        due_at=timezone.now(),
        corrects=batch,
        warrant=warrant,
    )
    if correction:
        about = f"For {correction.eligible} people: {name}"
        note(batch.pk, Act.CORRECTED, by=by, about=about)
    return correction


def to_correct(batch: Batch) -> RecipientQuerySet:
    """Who got `batch`, minus those who left or are suppressed since."""
    return Recipient.objects.who_got(batch).reachable()


def has_ended(batch: Batch) -> bool:
    """Finished or cancelled, and each of its deliveries has a fate."""
    return batch.finished_at is not None


def account(batch: Batch) -> dict[str, Any]:
    """What a page says of a batch: how it stands, and who did what."""
    events = batch.events.select_related("by")
    return {"batch": batch, "counts": counts(batch), "events": events}
