"""Deliveries that may have arrived: who knows more says so, or sends them again.

Each verb changes uncertain deliveries alone and returns how many; of two clicks the
second finds none. `by` is None where the mail server's log says it.
"""

from collections import Counter
from typing import Any

from django.contrib.auth.models import User
from django.db import transaction
from django.db.models import Exists, F, OuterRef, Q, QuerySet
from django.utils import timezone

from mail.hints import wake
from mail.models import GIVE_UP_AFTER, Batch, BatchEvent, Delivery
from mail.objections import refuse_unfit
from mail.overdue import overdue_from
from mail.pausing import note
from mail.queueing import SEND_DUE

Act = BatchEvent.Act
State = Delivery.State
Deliveries = QuerySet[Delivery]


@transaction.atomic
def settle_as_arrived(deliveries: Deliveries, *, by: User | None) -> int:
    """They count as accepted from now on, corrections reach these people too."""
    return _change(
        Delivery.objects.uncertain().filter(pk__in=deliveries.values("pk")),
        by=by,
        act=Act.SETTLED,
        about="as arrived",
        state=State.ACCEPTED,
        reason=f"arrived, says {_named(by)}"[:100],
        message=None,
    )


@transaction.atomic
def settle_as_not_arrived(deliveries: Deliveries, *, by: User) -> int:
    """They count as refused; nothing is sent to these people."""
    chosen = Delivery.objects.uncertain().filter(pk__in=deliveries.values("pk"))
    batch_ids = batches_of(chosen)
    settled = _change(
        chosen,
        by=by,
        act=Act.SETTLED,
        about="as not arrived",
        state=State.REFUSED,
        reason=f"did not arrive, says {_named(by)}"[:100],
        message=None,
    )
    got = Delivery.objects.filter(batch=OuterRef("pk"), state__in=Delivery.REACHING)
    Batch.objects.filter(
        ~Exists(got), pk__in=batch_ids, finished_at__isnull=False
    ).update(reached_nobody=True)
    return settled


@transaction.atomic
def resend(deliveries: Deliveries, *, by: User) -> int:
    """Queue the same rows again, under their Message-IDs; consent is asked anew.

    None of a batch that was cancelled or corrected: its text should not go out.
    Raises MayNotGoOn when the text of one of the others may not be sent now.
    """
    chosen = Delivery.objects.resendable().filter(pk__in=deliveries.values("pk"))
    batch_ids = batches_of(chosen)
    refuse_unfit(batch_ids)
    # Whoever corrects or cancels one of these batches comes before or after this.
    held = Batch.objects.filter(pk__in=batch_ids).order_by("pk")
    list(held.select_for_update(no_key=True).values_list("pk"))
    now = timezone.now()
    resent = _change(
        # What became uncertain meanwhile belongs to batches nobody asked about.
        chosen.filter(Q(batch__isnull=True) | Q(batch__in=batch_ids)),
        by=by,
        act=Act.RESENT,
        about="under the same Message-ID",
        state=State.QUEUED,
        reason=f"sent again by {_named(by)}"[:100],
        resends=F("resends") + 1,
        due_at=now,
        expires_at=now + GIVE_UP_AFTER,
        finished_at=None,
    )
    waiting = Delivery.objects.waiting().filter(batch=OuterRef("pk"))
    Batch.objects.filter(Exists(waiting), pk__in=batch_ids).go_on(
        overdue_at=overdue_from(now)
    )
    wake(SEND_DUE)
    return resent


def batches_of(deliveries: Deliveries) -> list[int]:
    found = deliveries.filter(batch__isnull=False).order_by()
    return list(found.values_list("batch", flat=True).distinct())


def _named(by: User | None) -> str:
    return by.get_username() if by else "the mail server's log"


def _change(
    deliveries: Deliveries, *, by: User | None, act: Act, about: str, **changes: Any
) -> int:
    """Make `changes` to rows nobody else changes meanwhile; an event for each batch."""
    locked = deliveries.order_by("pk").select_for_update(of=("self",))
    found = list(locked.values_list("pk", "batch"))
    Delivery.objects.filter(pk__in=[pk for pk, _ in found]).update(**changes)
    for batch_id, number in Counter(batch_id for _, batch_id in found).items():
        if batch_id is not None:
            note(batch_id, act, by=by, about=f"{number} {about}")
    return len(found)
