"""How messages come into being and how they are called back."""

from datetime import datetime
from typing import Any

from django.core.exceptions import EmptyResultSet
from django.db import connection, transaction
from django.db.models import DateTimeField, Min, QuerySet, Value
from django.db.models.expressions import Combinable
from django.utils import timezone

from mail import building
from mail.addresses import NotAnAddress, canonical_address
from mail.hints import wake
from mail.models import Batch, Delivery, Recipient
from mail.overdue import overdue_from
from mail.pacing import paced
from mail.recipients import mailbox_of
from mail.rendering import render

SEND_DUE = "mail.send_due"
SWEEP = "mail.sweep"


@transaction.atomic
def enqueue(
    recipient: Recipient,
    *,
    kind: Delivery.Kind,
    idempotency_key: str,
    subject: str,
    html: str,
    text: str,
    due_at: datetime | None = None,
) -> bool:
    """Queue one message; False if `idempotency_key` was queued before.

    It leaves at once, or at `due_at`, which its Date header says too. Raises
    `building.BadHeader` for a subject no header can carry.
    """
    due_at = due_at or timezone.now()
    created = Delivery.objects.bulk_create(
        [
            Delivery(
                recipient=recipient,
                kind=kind,
                idempotency_key=idempotency_key,
                message=building.build_single(subject, html, text),
                dated_at=due_at,
                due_at=due_at,
            )
        ],
        ignore_conflicts=True,
    )
    wake(SEND_DUE)
    return (
        bool(created)
        and Delivery.objects.filter(
            idempotency_key=idempotency_key, dated_at=due_at
        ).exists()
    )


@transaction.atomic
def tell_staff(
    typed_address: str, name: str, context: dict[str, Any], *, idempotency_key: str
) -> bool:
    """Queue the mail `name` (see `rendering`) to a member of staff.

    False if it was queued before, or if this person has no address that mail reaches:
    what the mail says stands in the admin as well.
    """
    try:
        address = canonical_address(typed_address)
    except NotAnAddress:
        return False
    recipient = mailbox_of(address)
    rendered = render(name, context)
    return enqueue(
        recipient,
        kind=Delivery.Kind.STAFF,
        idempotency_key=idempotency_key,
        subject=rendered.subject,
        html=rendered.html,
        text=rendered.text,
    )


@transaction.atomic
def start_batch(
    *,
    name: str,
    mail: building.TipMail,
    recipients: QuerySet[Recipient],
    due_at: datetime | Combinable,
    warrant: dict[str, Any] | None = None,
    corrects: Batch | None = None,
) -> Batch | None:
    """Queue `mail` for everybody in `recipients`, or None when that is nobody.

    The list is made by one INSERT ... SELECT: complete, or not there at all. An
    expression as `due_at` is each recipient's own time, the same in the Date header.
    `warrant` says what entitles it to start (`Batch.warrant`).
    """
    batch = Batch.objects.create(
        name=name[:200],
        message=building.build_tip(mail),
        warrant=warrant or {},
        corrects=corrects,
    )
    batch.eligible = _insert_deliveries(batch, recipients, due_at)
    if not batch.eligible:
        batch.delete()
        return None
    # People in other time zones are due later; the batch is overdue by its first.
    first = batch.deliveries.aggregate(due_at=Min("due_at"))
    batch.overdue_at = overdue_from(first["due_at"])
    batch.save(update_fields=["eligible", "overdue_at"])
    wake(SEND_DUE)
    return batch


def _insert_deliveries(
    batch: Batch, recipients: QuerySet[Recipient], due_at: datetime | Combinable
) -> int:
    if isinstance(due_at, datetime):
        due_at = Value(due_at, output_field=DateTimeField())
    chosen = recipients.order_by("pk").distinct("pk").values_list("pk", due_at)
    try:
        rows, params = chosen.query.sql_with_params()
    except EmptyResultSet:
        # Django saw without asking the database that this is nobody.
        return 0
    spaced, values = paced(rows, params)
    with connection.cursor() as cursor:
        cursor.execute(
            f"""
            INSERT INTO mail_delivery
                (recipient_id, batch_id, kind, idempotency_key, dated_at, due_at)
            SELECT chosen.id, %s, %s, 'batch-' || %s || '-' || chosen.id,
                chosen.due_at, chosen.due_at
            FROM ({spaced}) AS chosen (id, due_at)
            """,  # noqa: S608 - Django compiled it; its values are parameters
            [batch.pk, Delivery.Kind.TIP, batch.pk, *values],
        )
        return int(cursor.rowcount)


def drop_waiting(recipient: Recipient, *, reason: str) -> int:
    """Call back the tips that have not begun to leave for `recipient`; how many."""
    return (
        Delivery.objects.waiting()
        .filter(recipient=recipient, kind=Delivery.Kind.TIP)
        .update(
            state=Delivery.State.DROPPED,
            reason=reason,
            leased_until=None,
            finished_at=timezone.now(),
        )
    )
