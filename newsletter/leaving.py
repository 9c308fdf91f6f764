"""Leaving, and what is milder: all that the link at a tip's foot offers people.

Tips get forwarded: whoever holds one can have less mail sent, never more or elsewhere.
"""

from datetime import timedelta

from django.db import transaction
from django.db.models import F
from django.utils import timezone

from mail import read_token
from newsletter.models import LeavingReason, Subscriber
from newsletter.preferences import only_monthly, pause
from newsletter.subscribing import UNSUBSCRIBE

PAUSE_DAYS = 28
Status = Subscriber.Status


def staying(text: str, *, lock: bool = False) -> Subscriber | None:
    """Who gets tips by an unsubscribe link; None where nobody does."""
    key = read_token(UNSUBSCRIBE, text)
    found = Subscriber.objects.at_mailbox(key, lock=lock) if key else None
    return found if found and found.is_confirmed() else None


def has_left(text: str) -> bool:
    """Whether the link's mailbox is that of somebody who left.

    Else nobody is there any more (moved, erased), or somebody who gets tips.
    """
    key = read_token(UNSUBSCRIBE, text)
    found = Subscriber.objects.at_mailbox(key) if key else None
    return found is not None and found.status == Status.UNSUBSCRIBED


@transaction.atomic
def pause_instead(text: str) -> Subscriber | None:
    """No tips for four weeks; who pauses, or None. A longer pause stays as it is."""
    subscriber = staying(text, lock=True)
    until = timezone.now() + timedelta(days=PAUSE_DAYS)
    if subscriber and (
        subscriber.paused_until is None or subscriber.paused_until < until
    ):
        pause(subscriber, PAUSE_DAYS)
    return subscriber


@transaction.atomic
def monthly_instead(text: str) -> Subscriber | None:
    """One tip a month from now on; who gets it, or None. Repeating changes nothing."""
    subscriber = staying(text, lock=True)
    if subscriber and subscriber.frequency != Subscriber.Frequency.MONTHLY:
        only_monthly(subscriber)
    return subscriber


@transaction.atomic
def say_why(text: str, reason: LeavingReason.Reason) -> None:
    """Count why somebody left: once for each leaving, in their month, without them."""
    key = read_token(UNSUBSCRIBE, text)
    subscriber = Subscriber.objects.at_mailbox(key, lock=True) if key else None
    if (
        subscriber is None
        or subscriber.status != Status.UNSUBSCRIBED
        or subscriber.told_why
    ):
        return
    subscriber.told_why = True
    subscriber.save(update_fields=["told_why"])
    month = timezone.now().date().replace(day=1)
    counted, _ = LeavingReason.objects.get_or_create(month=month, reason=reason)
    LeavingReason.objects.filter(pk=counted.pk).update(count=F("count") + 1)
