"""All that the site knows of a person: to take along (GDPR 15, 20) or to erase (17)."""

from typing import Any

from django.db import transaction
from django.utils import timezone

from mail import Delivery, KeptSuppression
from mail import erase as erase_recipient
from newsletter import consent
from newsletter.agreements import brought_with, facts_of
from newsletter.models import LinkRequest, SignUp, Subscriber, SubscriberAccess
from newsletter.moving import forget_former, forget_move
from newsletter.preferences import holder
from newsletter.subscribing import remember_asking


def download(subscriber: Subscriber) -> dict[str, Any]:
    """Machine-readable; times are ISO 8601 in UTC. Complete: see the tests."""
    recipient, former = subscriber.recipient, subscriber.moved_from
    mailboxes = [one for one in (recipient, former, subscriber.moving_to) if one]
    sent = Delivery.objects.filter(recipient__in=mailboxes).order_by("pk")
    looks = SubscriberAccess.objects.filter(subscriber_key=subscriber.key)
    return {
        "profile": {
            "address": recipient.address,
            "status": subscriber.status,
            "signed_up_at": subscriber.created_at,
            "confirmed_at": subscriber.confirmed_at,
            "unsubscribed_at": subscriber.unsubscribed_at,
            "last_pressed_a_button_at": subscriber.acted_at,
            "said_why_they_left": subscriber.told_why,
            "topics": subscriber.topics,
            "frequency": subscriber.frequency,
            "paused_until": subscriber.paused_until,
            "time_zone": subscriber.time_zone,
            "moved_from": former and former.address,
            "moving_to": subscriber.moving_to and subscriber.moving_to.address,
            "not_mailed_because": recipient.suppression or None,
            "not_mailed_since": recipient.suppressed_at,
        },
        "consents": [
            {
                "matter": one.event.matter,
                "act": one.event.act,
                "at": one.event.occurred_at,
                "words": one.event.wording and one.event.wording.text,
                "terms_revision": one.event.terms_id,
                "given_on_page": getattr(_context(one.event), "page", None),
                "from_network": getattr(_context(one.event), "network", None),
                "place_in_the_ledger": one.position,
            }
            for one in facts_of(subscriber)
        ],
        "brought_from_another_list": [
            {
                "agreed_at": one.agreed_at,
                "words": one.context.wording,
                "terms": one.context.terms,
                "on_page": one.context.page,
                "source": one.context.source,
                "vouched_for": one.trusted,
                "file_sha256": one.file_digest,
                "line": one.line,
                "recorded_at": one.recorded_at,
            }
            for one in brought_with(subscriber)
        ],
        "mails": [
            {
                "kind": one.kind,
                "what": one.batch.name if one.batch else None,
                "state": one.state,
                "dated": one.dated_at,
                "ended": one.finished_at,
                "message_id": one.key.hex,
                "came_back": one.bounce or None,
            }
            for one in sent.select_related("batch").iterator()
        ],
        # What for, never who of the staff it was.
        "looked_at_by_staff": [
            {"act": one.act, "purpose": one.purpose, "at": one.occurred_at}
            for one in looks.order_by("pk")
        ],
    }


def _context(event: Any) -> Any:
    return getattr(event, "context", None)


@transaction.atomic
def erase(text: str) -> None:
    """As `forget`, for who holds a preferences link. Raises LinkInvalid."""
    call_back(holder(text).recipient.address)
    forget(holder(text, lock=True))


def call_back(address: str) -> None:
    """What was asked for in this address's name and waits for a worker goes.

    Before the person is locked: a worker holds such a row, and then wants the person.
    """
    for model in (SignUp, LinkRequest):
        rows = model._default_manager.filter(address=address).order_by("pk")
        list(rows.select_for_update().values_list("pk"))
        rows.delete()


@transaction.atomic
def forget(subscriber: Subscriber) -> None:
    """Erase the address and all that says whose it was, from every table.

    Locked by the caller. What waits for a worker in their name is left to `call_back`,
    or becomes a new person's.
    The ledger keeps that somebody (a random key) consented and was erased, so the
    chain stays whole. That we may not write stays as a keyed hash: a block, a
    complaint, and that the person had left or did not answer when we asked.
    """
    consent.erased(subscriber, timezone.now())
    forget_move(subscriber)
    forget_former(subscriber)
    recipient, kept = subscriber.recipient, _kept(subscriber)
    subscriber.delete()
    remember_asking(recipient)
    erase_recipient(recipient, kept=kept)


def _kept(subscriber: Subscriber) -> KeptSuppression.Reason | None:
    if subscriber.status == Subscriber.Status.CONFIRMED:
        return None
    if subscriber.unsubscribed_at:
        return KeptSuppression.Reason.LEFT
    asked = subscriber.permission_asked_at
    return KeptSuppression.Reason.NO_ANSWER if asked else None
