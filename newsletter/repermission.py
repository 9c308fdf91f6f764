"""People who came in with a file are asked once whether the site may write to them."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.conf import settings
from django.db import transaction
from django.utils import timezone

from mail import recipient_for
from newsletter import emails
from newsletter.models import ListImport, Subscriber, SubscriberQuerySet
from newsletter.subscribing import SignUpClosed, signup_is_open, was_asked_lately

PIECE = 500


@dataclass(frozen=True)
class Asked:
    """How many were mailed, got a confirmation within a day, and are left to ask."""

    now: int
    not_now: int
    left: int


def to_ask(brought_by: ListImport) -> SubscriberQuerySet:
    """Who came in with this file, was never asked, and may be written to."""
    return Subscriber.objects.unasked().filter(brought_by=brought_by)


def ask(brought_by: ListImport, *, most: int) -> Asked:
    """Mail up to `most` people of a file, each in a commit of its own; once each, ever.

    They leave `MAIL_PACE` a minute. Raises SignUpClosed while there is no privacy
    notice that the mail could name.
    """
    if not signup_is_open():
        raise SignUpClosed
    asked = not_now = 0
    for pk in _in_turn(brought_by):
        if asked == most:
            break
        if _ask(pk, due_at=timezone.now() + _gap() * asked):
            asked += 1
        else:
            not_now += 1
    return Asked(asked, not_now, to_ask(brought_by).count())


def _gap() -> timedelta:
    pace = settings.MAIL_PACE
    return timedelta(minutes=1) / pace if pace else timedelta()


def _in_turn(brought_by: ListImport) -> Iterator[int]:
    last = 0
    while piece := list(
        to_ask(brought_by)
        .filter(pk__gt=last)
        .order_by("pk")
        .values_list("pk", flat=True)[:PIECE]
    ):
        yield from piece
        last = piece[-1]


@transaction.atomic
def _ask(pk: int, *, due_at: datetime) -> bool:
    """False: somebody else asked this mailbox within a day, or just now."""
    person = Subscriber.objects.filter(pk=pk)
    address = person.values_list("recipient__address", flat=True).get()
    Subscriber.objects.hold([address])
    recipient = recipient_for(address)
    now = timezone.now()
    mine = Subscriber.objects.unasked().filter(pk=pk, recipient=recipient)
    subscriber = mine.first()
    if subscriber is None or was_asked_lately(recipient, now):
        return False
    subscriber.asked_at = subscriber.permission_asked_at = now
    subscriber.save(update_fields=["asked_at", "permission_asked_at"])
    emails.repermission(subscriber, due_at=due_at)
    return True
