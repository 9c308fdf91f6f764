"""From the box to a confirmed subscriber, and out again.

Taking a sign-up is one insert, whatever the address is. A worker resolves it later, so
the answer tells nobody who is on the list, in words or in time.
"""

import time
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import lru_cache

from django.db import transaction
from django.db.models import QuerySet
from django.utils import timezone

from articles import catalogue
from mail import (
    Delivery,
    Recipient,
    address_macs,
    canonical_address,
    drop_waiting,
    is_signed,
    read_token,
    recipient_for,
    token_key,
    wake,
)
from newsletter import consent, emails, limits, wording
from newsletter.intake import resolve_each
from newsletter.models import KeptAsking, SignUp, Subscriber

RESOLVE = "newsletter.resolve_sign_ups"
CONFIRM_WITHIN = timedelta(days=emails.CONFIRMATION_HOLDS_DAYS)
PERMIT_WITHIN = timedelta(days=emails.PERMISSION_HOLDS_DAYS)
ONE_CONFIRMATION_PER = timedelta(hours=24)
ONE_CONFIRMATION_PER_WHEN_SUPPRESSED = timedelta(days=30)
CONFIRM, UNSUBSCRIBE = "confirm", "unsubscribe"
Status = Subscriber.Status


class SignUpClosed(Exception):
    """There are no Terms of Use or no privacy notice that people could agree to."""


def signup_is_open() -> bool:
    """Whether Terms and privacy notice are on the site."""
    return _terms() is not None


def _terms() -> int | None:
    """The revision of the Terms that people agree to; None while sign-up is closed."""
    live = catalogue.live_revision_ids(["terms", "privacy"])
    return live.get("terms") if "privacy" in live else None


@dataclass(frozen=True)
class Shown:
    """The ids of what the box shows: its words, and the Terms it leads to."""

    wording: int
    terms: int


@lru_cache(maxsize=1)
def _shown(second: int) -> Shown | None:
    """None while sign-up is closed. Asked once a second, however many sign up.

    Who saw the box before it changed agreed to what it said then.
    """
    terms = _terms()
    return Shown(wording.current().pk, terms) if terms is not None else None


def take_sign_up(typed: str, *, page: str = "", network: str = "") -> None:
    """Note a wish to subscribe, unless the mailbox was named too often lately.

    Raises NotAnAddress, SignUpClosed, and what `limits.admit` raises.
    """
    address = canonical_address(typed)
    shown = _shown(int(time.monotonic()))
    if shown is None:
        raise SignUpClosed
    if not limits.admit("sign-up", address=address, network=network):
        return
    SignUp.objects.create(
        address=address,
        wording_id=shown.wording,
        terms_id=shown.terms,
        page=page[:200],
        network=network,
    )
    wake(RESOLVE)


def resolve_sign_ups() -> int:
    """Resolve what the box took in, each in a commit of its own; how many."""
    return resolve_each(SignUp, _resolve)


def _resolve(sign_up: SignUp) -> None:
    now = timezone.now()
    Subscriber.objects.hold([sign_up.address])
    recipient = recipient_for(sign_up.address)
    subscriber, _ = Subscriber.objects.get_or_create(recipient=recipient)
    blocked = recipient.is_blocked()
    on_the_list = subscriber.status == Status.CONFIRMED and not recipient.suppression
    if blocked or on_the_list or was_asked_lately(recipient, now):
        return
    consent.requested(subscriber, sign_up, now)
    subscriber.asked_at = now
    if subscriber.status == Status.UNSUBSCRIBED:
        subscriber.status = Status.UNCONFIRMED
    subscriber.save(update_fields=["asked_at", "status"])
    emails.confirmation(subscriber)


def was_asked_lately(recipient: Recipient, now: datetime) -> bool:
    """Whether the one confirmation that this mailbox may get has been sent.

    To whomever: it may have been somebody's who was erased since.
    """
    lately = _confirmations(recipient).filter(dated_at__gt=now - _gap(recipient))
    kept = KeptAsking.objects.filter(
        address_mac__in=address_macs(recipient.address), until__gt=now
    )
    return lately.exists() or kept.exists()


def remember_asking(recipient: Recipient) -> None:
    """Before a mailbox is erased, keep how long `was_asked_lately` holds for it."""
    newest = _confirmations(recipient).order_by("-dated_at").first()
    if newest is None:
        return
    until = newest.dated_at + _gap(recipient)
    if until > timezone.now():
        KeptAsking.objects.update_or_create(
            address_mac=address_macs(recipient.address)[0], defaults={"until": until}
        )


def _confirmations(recipient: Recipient) -> QuerySet[Delivery]:
    return Delivery.objects.filter(recipient=recipient, kind=Delivery.Kind.CONFIRMATION)


def _gap(recipient: Recipient) -> timedelta:
    return (
        ONE_CONFIRMATION_PER_WHEN_SUPPRESSED
        if recipient.suppression
        else ONE_CONFIRMATION_PER
    )


def to_confirm(text: str, *, lock: bool = False) -> Subscriber | None:
    """Whom a confirmation's link belongs to; None if it is forged, old or replaced."""
    key = token_key(text)
    subscriber = Subscriber.objects.at_mailbox(key, lock=lock) if key else None
    if key is None or subscriber is None or subscriber.asked_at is None:
        return None
    within = PERMIT_WITHIN if came_in_a_file(subscriber) else CONFIRM_WITHIN
    fresh = subscriber.asked_at + within > timezone.now()
    bound_to = subscriber.asked_at.isoformat()
    return (
        subscriber
        if fresh and is_signed(CONFIRM, text, key, bound_to=bound_to)
        else None
    )


def came_in_a_file(subscriber: Subscriber) -> bool:
    """Whether the newest question was ours: may we write to you?"""
    asked_at = subscriber.permission_asked_at
    return asked_at is not None and asked_at == subscriber.asked_at


@transaction.atomic
def confirm(text: str, *, page: str = "", network: str = "") -> Subscriber | None:
    """Put the person on the list; pressing twice is once. None: see `to_confirm`.

    Who came in a file says yes here to what the page says; else the box has it all.
    """
    subscriber = to_confirm(text, lock=True)
    if (
        subscriber is None
        or subscriber.status == Status.CONFIRMED
        and not (subscriber.recipient.suppression)
    ):
        return subscriber
    recipient = subscriber.recipient
    if recipient.is_blocked():
        return None
    now = timezone.now()
    if came_in_a_file(subscriber):
        words = wording.of_permission()
        consent.permitted(subscriber, now, wording=words, page=page, network=network)
    else:
        consent.confirmed(subscriber, now)
    if subscriber.status != Status.CONFIRMED and subscriber.is_back():
        _begin_anew(subscriber)
    subscriber.status, subscriber.confirmed_at = Status.CONFIRMED, now
    subscriber.save(update_fields=["status", "confirmed_at"])
    recipient.may_receive = True
    recipient.suppressed_at, recipient.suppression = None, ""
    recipient.save(update_fields=["may_receive", "suppressed_at", "suppression"])
    return subscriber


def _begin_anew(subscriber: Subscriber) -> None:
    """A new consent is to what the box says now, not to wishes of the time before."""
    subscriber.paused_until, subscriber.topics = None, []
    subscriber.frequency = Subscriber.Frequency.WEEKLY
    subscriber.save(update_fields=["paused_until", "topics", "frequency"])


def is_unsubscribe_link(text: str) -> bool:
    """Whether we signed it; it never expires (RFC 8058, CASL)."""
    return read_token(UNSUBSCRIBE, text) is not None


@transaction.atomic
def unsubscribe(text: str) -> bool:
    """Take the person off the list at once; False for a link nobody signed.

    Repeating changes nothing, and who was erased or moved is off the list already.
    What waits in the queue is called back.
    """
    key = read_token(UNSUBSCRIBE, text)
    if key is None:
        return False
    subscriber = Subscriber.objects.at_mailbox(key, lock=True)
    if subscriber is None or subscriber.status == Status.UNSUBSCRIBED:
        return True
    now = timezone.now()
    consent.withdrawn(subscriber, now)
    subscriber.status, subscriber.unsubscribed_at = Status.UNSUBSCRIBED, now
    subscriber.asked_at, subscriber.told_why = None, False
    subscriber.save(update_fields=["status", "unsubscribed_at", "asked_at", "told_why"])
    Recipient.objects.filter(pk=subscriber.recipient_id).update(may_receive=False)
    drop_waiting(subscriber.recipient, reason="unsubscribed")
    return True
