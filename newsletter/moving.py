"""A subscriber's new address: confirmed from there, then the old one hears of it."""

from datetime import timedelta

from django.db import transaction
from django.utils import timezone

from mail import (
    KeptSuppression,
    Recipient,
    canonical_address,
    drop_waiting,
    is_signed,
    recipient_for,
    token_key,
)
from newsletter import consent, emails, limits
from newsletter.mailboxes import let_go_of
from newsletter.models import Subscriber
from newsletter.preferences import LinkInvalid, acting, holder
from newsletter.subscribing import was_asked_lately

MOVE = "move"
MOVE_WITHIN = timedelta(days=7)
Status = Subscriber.Status


class SameAddress(Exception):
    """The new address is the old one."""


def ask_to_move(text: str, typed: str, *, network: str = "") -> None:
    """Mail a link to the new address; nothing changes before it is pressed there.

    Raises LinkInvalid, NotAnAddress, SameAddress, and what `limits.admit_move` raises.
    A mailbox that may get no link now (named too often, `was_asked_lately`, or blocked
    by hand) gets none, and the answer is the same.
    """
    subscriber, address = holder(text), canonical_address(typed)
    if address == subscriber.recipient.address:
        raise SameAddress
    if limits.admit_move(subscriber.key, address=address, network=network):
        _ask_at(address, text, of=subscriber)


@transaction.atomic
def _ask_at(address: str, text: str, *, of: Subscriber) -> None:
    # Both at once: somebody there may be moving here.
    Subscriber.objects.hold([of.recipient.address, address])
    subscriber = acting(text)
    target, now = recipient_for(address), timezone.now()
    blocked = target.is_blocked()
    if blocked or was_asked_lately(target, now):
        let_go_of(target)
        return
    before, subscriber.moving_to = subscriber.moving_to, target
    subscriber.moving_asked_at = now
    subscriber.save(update_fields=["moving_to", "moving_asked_at"])
    if before:
        # Mistyped, as like as not.
        let_go_of(before)
    emails.move_link(subscriber, bound_to=bound_to(subscriber))


def mover(text: str, *, lock: bool = False) -> Subscriber:
    """Who moves to the mailbox that this link was mailed to. Raises LinkInvalid."""
    key = token_key(text)
    subscribers = Subscriber.objects.select_related("recipient", "moving_to")
    if lock:
        subscribers = subscribers.select_for_update(of=("self",), no_key=True)
    if key is None:
        raise LinkInvalid
    for found in subscribers.filter(moving_to__key=key, moving_to__erased_at=None):
        assert found.moving_asked_at is not None, "a constraint"  # noqa: S101
        is_fresh = found.moving_asked_at + MOVE_WITHIN > timezone.now()
        if is_fresh and is_signed(MOVE, text, key, bound_to=bound_to(found)):
            return found
    raise LinkInvalid


def bound_to(subscriber: Subscriber) -> str:
    """What makes the link of one mover and one asking differ from all others."""
    assert subscriber.moving_asked_at is not None, "somebody moves"  # noqa: S101
    return f"{subscriber.key.hex} {subscriber.moving_asked_at.isoformat()}"


def forget_former(subscriber: Subscriber) -> None:
    """Erase the address they moved from, unless it is somebody's, for all files too."""
    former, subscriber.moved_from = subscriber.moved_from, None
    subscriber.save(update_fields=["moved_from"])
    if former:
        let_go_of(former, kept=KeptSuppression.Reason.LEFT)


def forget_move(subscriber: Subscriber) -> None:
    """Erase the address they never moved to, unless it is somebody's."""
    target, subscriber.moving_to = subscriber.moving_to, None
    subscriber.save(update_fields=["moving_to"])
    if target:
        let_go_of(target)


@transaction.atomic
def move(text: str) -> Subscriber:
    """Send to the new address from now on; whom it belongs to. Raises LinkInvalid.

    Where the new address is on the list already, that subscription stays and the old
    one ends: nobody gets two. Pressing it lifts a bounce, as confirming does.
    """
    found = mover(text)
    assert found.moving_to is not None, "a mover moves"  # noqa: S101
    Subscriber.objects.hold([found.recipient.address, found.moving_to.address])
    subscriber = mover(text, lock=True)
    assert subscriber.moving_to is not None, "a mover moves"  # noqa: S101
    other = Subscriber.objects.filter(recipient=subscriber.moving_to).first()
    target = Recipient.objects.select_for_update().get(pk=subscriber.moving_to.pk)
    if target.is_blocked():
        raise LinkInvalid
    old, now = subscriber.recipient, timezone.now()
    may_receive = subscriber.status == Status.CONFIRMED
    subscriber.moving_to = subscriber.moving_asked_at = None
    subscriber.link_sent_at = None
    if other and other.status == Status.CONFIRMED:
        consent.withdrawn(subscriber, now)
        subscriber.status, subscriber.unsubscribed_at = Status.UNSUBSCRIBED, now
    else:
        if other:
            # Asked for from there once and never confirmed, or left since.
            consent.erased(other, now)
            forget_move(other)
            forget_former(other)
            other.delete()
        # What came before the old address has been told long since.
        forget_former(subscriber)
        subscriber.recipient = target
        subscriber.moved_from, subscriber.moved_at = old, now
        consent.changed(subscriber, now)
        other = None
    subscriber.save()
    if may_receive:
        target.may_receive = True
        target.suppressed_at, target.suppression = None, ""
        target.save(update_fields=["may_receive", "suppressed_at", "suppression"])
    Recipient.objects.filter(pk=old.pk).update(may_receive=False)
    drop_waiting(old, reason="moved to another address")
    emails.moved(old, at=now)
    return other or subscriber
