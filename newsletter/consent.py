"""Consent as evidence: what, when, in which words; where, as long as that may stay."""

import secrets
from datetime import datetime
from functools import partial
from hashlib import sha256
from typing import Any

from django.db import transaction

from ledger import attest, attest_many, canonical_json
from newsletter.models import (
    ConsentContext,
    ConsentEvent,
    ImportedContext,
    SignUp,
    Subscriber,
    Wording,
)

Act, Matter = ConsentEvent.Act, ConsentEvent.Matter


@transaction.atomic
def requested(subscriber: Subscriber, sign_up: SignUp, at: datetime) -> None:
    """Two facts from one click: consent to the newsletter, agreement to the Terms."""
    fact = partial(_event, subscriber, act=Act.REQUESTED, wording=sign_up.wording)
    context = _context(sign_up.page, sign_up.network)
    newsletter = fact(Matter.NEWSLETTER, at=at, context_commitment=_to(context))
    attest_many([newsletter, fact(Matter.TERMS, at=at, terms_id=sign_up.terms_id)])
    _keep_beside(newsletter, context)


def confirmed(subscriber: Subscriber, at: datetime) -> None:
    _attest(subscriber, Act.CONFIRMED, at)


@transaction.atomic
def permitted(
    subscriber: Subscriber, at: datetime, *, wording: Wording, page: str, network: str
) -> None:
    """The yes of somebody who saw no box: they came in with a file."""
    context = _context(page, network)
    event = _attest(
        *(subscriber, Act.CONFIRMED, at),
        wording=wording,
        context_commitment=_to(context),
    )
    _keep_beside(event, context)


def _context(page: str, network: str) -> ConsentContext | None:
    """The side row of a consent; None where nothing is known of page and network."""
    if not page and not network:
        return None
    return ConsentContext(salt=secrets.token_hex(32), page=page, network=network)


def _to(context: ConsentContext | None) -> str:
    if context is None:
        return ""
    return context_commitment(context.salt, context.page, context.network)


def _keep_beside(event: ConsentEvent, context: ConsentContext | None) -> None:
    if context:
        context.event = event
        context.save(force_insert=True)


def withdrawn(subscriber: Subscriber, at: datetime) -> None:
    _attest(subscriber, Act.WITHDRAWN, at)


def changed(subscriber: Subscriber, at: datetime) -> None:
    """That the person changed something: never what, for topics are about health."""
    _attest(subscriber, Act.CHANGED, at)


@transaction.atomic
def erased(subscriber: Subscriber, at: datetime) -> None:
    """The last fact about this key; where consents were given is forgotten."""
    _attest(subscriber, Act.ERASED, at)
    ConsentContext.objects.filter(event__subscriber_key=subscriber.key).delete()
    ImportedContext.objects.filter(evidence__subscriber_key=subscriber.key).delete()


def _attest(
    subscriber: Subscriber, act: ConsentEvent.Act, at: datetime, **more: Any
) -> ConsentEvent:
    return attest(_event(subscriber, Matter.NEWSLETTER, act=act, at=at, **more))


def _event(
    subscriber: Subscriber,
    matter: ConsentEvent.Matter,
    *,
    act: ConsentEvent.Act,
    at: datetime,
    **more: Any,
) -> ConsentEvent:
    return ConsentEvent(
        subscriber_key=subscriber.key, matter=matter, act=act, occurred_at=at, **more
    )


def context_commitment(salt: str, page: str, network: str) -> str:
    """SHA-256, hexadecimal: shows later what the side row said, or that it went."""
    return commitment_to(salt, {"page": page, "network": network})


def commitment_to(salt: str, words: dict[str, str]) -> str:
    """SHA-256, hexadecimal, over the salt's bytes and the words of a side row."""
    said = canonical_json({**words})
    return sha256(bytes.fromhex(salt) + said).hexdigest()
