"""Consent as evidence: what, when, in which words; where, as long as that may stay."""

import secrets
from datetime import datetime
from hashlib import sha256

from django.db import transaction

from ledger import attest, canonical_json
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
    wording, terms = sign_up.wording, sign_up.terms_id
    _write(
        subscriber,
        Matter.NEWSLETTER,
        Act.REQUESTED,
        at,
        wording=wording,
        page=sign_up.page,
        network=sign_up.network,
    )
    _write(subscriber, Matter.TERMS, Act.REQUESTED, at, wording=wording, terms=terms)


def confirmed(
    subscriber: Subscriber, at: datetime, *, wording: Wording | None = None
) -> None:
    """`wording` where the person saw no box: they came in with a file."""
    _write(subscriber, Matter.NEWSLETTER, Act.CONFIRMED, at, wording=wording)


def withdrawn(subscriber: Subscriber, at: datetime) -> None:
    _write(subscriber, Matter.NEWSLETTER, Act.WITHDRAWN, at)


def changed(subscriber: Subscriber, at: datetime) -> None:
    """That the person changed something: never what, for topics are about health."""
    _write(subscriber, Matter.NEWSLETTER, Act.CHANGED, at)


@transaction.atomic
def erased(subscriber: Subscriber, at: datetime) -> None:
    """The last fact about this key; where consents were given is forgotten."""
    _write(subscriber, Matter.NEWSLETTER, Act.ERASED, at)
    ConsentContext.objects.filter(event__subscriber_key=subscriber.key).delete()
    ImportedContext.objects.filter(evidence__subscriber_key=subscriber.key).delete()


@transaction.atomic
def _write(
    subscriber: Subscriber,
    matter: ConsentEvent.Matter,
    act: ConsentEvent.Act,
    at: datetime,
    *,
    wording: Wording | None = None,
    terms: int | None = None,
    page: str = "",
    network: str = "",
) -> None:
    salt = secrets.token_hex(32) if page or network else ""
    commitment = context_commitment(salt, page, network) if salt else ""
    event = attest(
        ConsentEvent(
            subscriber_key=subscriber.key,
            matter=matter,
            act=act,
            wording=wording,
            terms_id=terms,
            occurred_at=at,
            context_commitment=commitment,
        )
    )
    if salt:
        ConsentContext.objects.create(
            event=event, salt=salt, page=page, network=network
        )


def context_commitment(salt: str, page: str, network: str) -> str:
    """SHA-256, hexadecimal: shows later what the side row said, or that it went."""
    return commitment_to(salt, {"page": page, "network": network})


def commitment_to(salt: str, words: dict[str, str]) -> str:
    """SHA-256, hexadecimal, over the salt's bytes and the words of a side row."""
    said = canonical_json({**words})
    return sha256(bytes.fromhex(salt) + said).hexdigest()
