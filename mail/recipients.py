"""A mailbox by its address, and how the address leaves these tables for good."""

from collections.abc import Collection
from uuid import uuid4

from django.db import connection, transaction
from django.utils import timezone

from mail.links import address_macs
from mail.models import (
    GIVE_UP_AFTER,
    Delivery,
    DeliveryQuerySet,
    KeptSuppression,
    Recipient,
    RecipientQuerySet,
)

State = Delivery.State


@transaction.atomic
def recipient_for(address: str) -> Recipient:
    """The one row of a canonical address, locked; made where there is none.

    What suppressed the mailbox before it was erased suppresses it again.
    """
    # No key changes: a batch that is just being made keeps nobody waiting.
    return _row_of(address, Recipient.objects.select_for_update(no_key=True))


@transaction.atomic
def mailbox_of(address: str) -> Recipient:
    """As `recipient_for`, not locked: for who wants several, in no order."""
    return _row_of(address, Recipient.objects.all())


def _row_of(address: str, recipients: RecipientQuerySet) -> Recipient:
    while True:
        if _insert_new([address]):
            _suppress_again(address)
        # Nobody's row has this address any more if it was erased just now.
        if found := recipients.filter(address=address).first():
            return found


def _suppress_again(address: str) -> None:
    kept = KeptSuppression.objects.filter(
        address_mac__in=address_macs(address),
        suppression__in=Recipient.Suppression.values,
    )
    if found := kept.order_by("-suppressed_at").first():
        Recipient.objects.filter(address=address).update(
            suppression=found.suppression, suppressed_at=found.suppressed_at
        )


@transaction.atomic
def recipients_for(addresses: Collection[str]) -> dict[str, Recipient]:
    """As `recipient_for`, of many who were not kept off (`kept_off`), by address.

    Always in one order, so that two who want the same ones wait for each other.
    """
    in_order = sorted(addresses)
    _insert_new(in_order)
    found = Recipient.objects.filter(address__in=in_order).order_by("address")
    return {one.address: one for one in found.select_for_update(no_key=True)}


def _insert_new(addresses: list[str]) -> int:
    """How many of `addresses` had no row.

    Never by a failed INSERT: PostgreSQL's log would name the address.
    """
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO mail_recipient (address, suppression) "
            "SELECT address, '' FROM unnest(%s::text[]) AS address "
            "ON CONFLICT DO NOTHING",
            [addresses],
        )
        return int(cursor.rowcount)


def kept_off(addresses: Collection[str]) -> dict[str, str]:
    """Which of `addresses` were erased and may not come back in a file, and why."""
    by_mac = {mac: address for address in addresses for mac in address_macs(address)}
    kept = KeptSuppression.objects.filter(address_mac__in=list(by_mac))
    return {
        by_mac[mac]: why for mac, why in kept.values_list("address_mac", "suppression")
    }


@transaction.atomic
def block(recipient: Recipient) -> bool:
    """Write to this mailbox no more, whoever signs it up; False if it is so already.

    What waits is dropped; what is just being handed over ends by itself.
    """
    recipient = Recipient.objects.select_for_update(no_key=True).get(pk=recipient.pk)
    if recipient.is_blocked():
        return False
    now = timezone.now()
    recipient.suppression, recipient.suppressed_at = Recipient.Suppression.MANUAL, now
    recipient.save(update_fields=["suppression", "suppressed_at"])
    Delivery.objects.waiting().filter(recipient=recipient).update(
        state=State.DROPPED, reason="blocked by hand", finished_at=now, message=None
    )
    return True


@transaction.atomic
def lift_block(recipient: Recipient) -> bool:
    """Undo `block`; False if there is none. Consent decides again.

    The keyed hash that an earlier erasure left of a block goes as well: it would
    block the mailbox anew after the next one.
    """
    recipient = Recipient.objects.select_for_update(no_key=True).get(pk=recipient.pk)
    manual = Recipient.Suppression.MANUAL
    if recipient.suppression != manual:
        return False
    recipient.suppression, recipient.suppressed_at = "", None
    recipient.save(update_fields=["suppression", "suppressed_at"])
    KeptSuppression.objects.filter(
        address_mac__in=address_macs(recipient.address), suppression=manual
    ).delete()
    return True


@transaction.atomic
def erase(recipient: Recipient, *, kept: KeptSuppression.Reason | None = None) -> None:
    """Forget the address; the row stays as nobody's, for its deliveries to count.

    What waits for it is dropped. A suppression is kept as a keyed hash, and else what
    `kept` says. What is just being handed over ends by itself, and `forget_replies`
    cleans up behind it.
    """
    recipient = Recipient.objects.select_for_update().get(pk=recipient.pk)
    now = timezone.now()
    if recipient.suppressed_at or kept:
        KeptSuppression.objects.update_or_create(
            address_mac=address_macs(recipient.address)[0],
            defaults={
                "suppression": recipient.suppression or str(kept),
                "suppressed_at": recipient.suppressed_at or now,
            },
        )
    Delivery.objects.waiting().filter(recipient=recipient).update(
        state=State.DROPPED, reason="erased", finished_at=now, message=None
    )
    recipient.address = f"{uuid4().hex}@erased.invalid"
    recipient.may_receive, recipient.erased_at = False, now
    recipient.suppression, recipient.suppressed_at = "", None
    recipient.save()
    _blank(Delivery.objects.filter(recipient=recipient))


def forget_replies() -> int:
    """Blank what servers said about mailboxes that were just erased: it may name them.

    The last of it comes while a hand-over ends, or is settled late.
    """
    just_now = timezone.now() - 2 * GIVE_UP_AFTER
    return _blank(Delivery.objects.filter(recipient__erased_at__gt=just_now))


def _blank(deliveries: DeliveryQuerySet) -> int:
    told = deliveries.exclude(state__in=[State.QUEUED, State.HANDING_OVER])
    return told.exclude(smtp_reply="", message=None).update(smtp_reply="", message=None)
