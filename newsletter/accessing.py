"""Staff and a single subscriber: every look and act leaves a row, never an address."""

from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from django.contrib.auth.models import User
from django.db import transaction
from django.utils import timezone

import mail
from mail import canonical_address
from newsletter import personal_data
from newsletter.models import Subscriber, SubscriberAccess
from newsletter.proving import ConsentProof, Unknown, find, prove_consent

Act = SubscriberAccess.Act
LOOK_HOLDS = timedelta(minutes=30)


class NotTheirAddress(Exception):
    """What was typed is another address than the person's."""


class Gone(Exception):
    """Somebody else erased the person meanwhile."""


class AsItWas(Exception):
    """There was nothing to do."""


@dataclass(frozen=True)
class Why:
    """What a person's data were needed for."""

    purpose: SubscriberAccess.Purpose
    # The number of a case; never a name or an address.
    reference: str = ""


def look_up(typed: str, *, by: User, why: Why) -> Subscriber:
    """Who has exactly this address. Raises NotAnAddress or Unknown.

    Looking in vain is noted as well: it tells that somebody is not on the list.
    """
    try:
        found = find(typed)
    except Unknown:
        _note(None, Act.FOUND_NOBODY, by, why)
        raise
    _note(found, Act.LOOKED, by, why)
    return found


def may_see(user: User, subscriber: Subscriber) -> bool:
    """Whether `user` has typed this person's address lately."""
    looks = SubscriberAccess.objects.filter(
        by=user,
        subscriber_key=subscriber.key,
        act=Act.LOOKED,
        occurred_at__gt=timezone.now() - LOOK_HOLDS,
    )
    return looks.exists()


@transaction.atomic
def block(subscriber: Subscriber, *, by: User, why: Why) -> None:
    """Write to the person no more; confirming lifts it not. Raises AsItWas."""
    if not mail.block(subscriber.recipient):
        raise AsItWas("This person is blocked by hand already.")
    _note(subscriber, Act.BLOCKED, by, why)


@transaction.atomic
def lift_block(subscriber: Subscriber, *, by: User, why: Why) -> None:
    """The person's own consent decides again. Raises AsItWas."""
    if not mail.lift_block(subscriber.recipient):
        raise AsItWas("This person is not blocked by hand.")
    _note(subscriber, Act.LIFTED, by, why)


@transaction.atomic
def prove(subscriber: Subscriber, *, by: User, why: Why) -> ConsentProof:
    """The whole account, Terms included; the ledger elsewhere is not looked at."""
    _note(subscriber, Act.PROVED, by, why)
    return prove_consent(subscriber, with_terms=True)


@transaction.atomic
def export(subscriber: Subscriber, *, by: User, why: Why) -> dict[str, Any]:
    """What the person could download themselves (GDPR 15)."""
    _note(subscriber, Act.EXPORTED, by, why)
    return personal_data.download(subscriber)


@transaction.atomic
def erase(subscriber: Subscriber, *, typed: str, by: User, why: Why) -> None:
    """Erase for a person who asked us to (GDPR 17).

    Raises NotAnAddress, NotTheirAddress if `typed` is not where they are mailed now,
    and Gone.
    """
    personal_data.call_back(canonical_address(typed))
    people = Subscriber.objects.select_related("recipient", "moving_to")
    found = (
        people.select_for_update(of=("self",), no_key=True)
        .filter(pk=subscriber.pk)
        .first()
    )
    if found is None:
        raise Gone("Somebody has erased this person already.")
    if canonical_address(typed) != found.recipient.address:
        raise NotTheirAddress("This is not the address of this person.")
    _note(found, Act.ERASED, by, why)
    personal_data.forget(found)


def _note(subscriber: Subscriber | None, act: Act, by: User, why: Why) -> None:
    SubscriberAccess.objects.create(
        by=by,
        act=act,
        subscriber_key=subscriber.key if subscriber else None,
        purpose=why.purpose,
        reference=why.reference,
    )
