"""Addresses that are nobody's: none of them stays (GDPR 5(1)(e))."""

from datetime import datetime, timedelta

from django.db import transaction
from django.db.models import Exists, OuterRef, Q, QuerySet

from mail import Delivery, KeptSuppression, Recipient, erase
from newsletter.models import Subscriber
from newsletter.subscribing import remember_asking

# Somebody is just making a person of it, or a mail to staff.
YOUNG_FOR = timedelta(days=1)


@transaction.atomic
def let_go_of(
    mailbox: Recipient, *, kept: KeptSuppression.Reason | None = None
) -> bool:
    """Erase the mailbox unless it is somebody's; for all files too, where `kept`."""
    # Whose owner is there is never locked here: they may be waiting for who asks.
    if Subscriber.objects.filter(recipient=mailbox).exists():
        return False
    # In hand: else of two who were on the way there, each leaves it to the other.
    held = Recipient.objects.select_for_update().get(pk=mailbox.pk)
    if held.erased_at or is_somebody(held):
        return False
    remember_asking(held)
    erase(held, kept=kept)
    return True


def is_somebody(mailbox: Recipient) -> bool:
    """Whether a subscriber has it, comes from or is on the way there, or staff has."""
    theirs = Q(recipient=mailbox) | Q(moving_to=mailbox) | Q(moved_from=mailbox)
    staff = Delivery.objects.filter(recipient=mailbox, kind=Delivery.Kind.STAFF)
    return Subscriber.objects.filter(theirs).exists() or staff.exists()


def without_subscriber(at: datetime) -> QuerySet[Recipient]:
    """What no subscriber points at, and nobody is just making a person of."""
    found = Recipient.objects.filter(
        erased_at__isnull=True, created_at__lte=at - YOUNG_FOR
    )
    for way in ("recipient", "moving_to", "moved_from"):
        theirs = Subscriber.objects.filter(**{way: OuterRef("pk")})
        found = found.filter(~Exists(theirs))
    return found
