"""Mail providers' webhooks: proven, read, and taken as bounces are.

A request is believed for its secret or signature, an event for our delivery's key in
it. An address in it counts for nothing.
"""

import json
from typing import Any
from uuid import UUID

import structlog
from anymail.exceptions import AnymailWebhookValidationFailure
from anymail.signals import AnymailTrackingEvent, EventType
from django.http import HttpRequest

from mail.bounces import Taken, take_event
from mail.providers import DELIVERY, Provider, said
from mail.reports import Kind, Verdict, key_in, key_in_message_id, kind_of, status_in

log = structlog.get_logger(__name__)

FAILURES = (EventType.BOUNCED, EventType.REJECTED, EventType.FAILED)
# RFC 5965 section 7.3, handed on: somebody took it out of the spam folder.
NOT_SPAM = "not-spam"
# Amazon's notifications say that they are text.
JSON = ("application/json", "text/plain")


class NotProven(Exception):
    """The secret or the signature is missing or wrong."""


class NotUnderstood(Exception):
    """It is proven or may be, but no provider writes such a request."""


def take(request: HttpRequest, provider: Provider, secret: str) -> list[Taken]:
    """Note what the request says of our deliveries. Raises NotProven, NotUnderstood."""
    verdicts = [
        (_key(provider, event), verdict)
        for event in _events(request, provider, secret)
        if (verdict := _verdict(provider, event))
    ]
    return [take_event(key, verdict) for key, verdict in verdicts]


def _events(
    request: HttpRequest, provider: Provider, secret: str
) -> list[AnymailTrackingEvent]:
    """All of the request's events, or none of them."""
    try:
        view = provider.receiver(secret)
        view.run_validators(request)
        if request.content_type not in JSON:
            raise NotUnderstood("it is no JSON")
        json.loads(request.body, object_pairs_hook=_without_doubles)
        return list(view.parse_events(request))
    except AnymailWebhookValidationFailure as error:
        raise NotProven from error
    except NotUnderstood:
        raise
    except Exception as error:
        # Anymail raises whatever its first step into a strange body raises, some of it
        # with the body in its text: the kind of error is all that is kept.
        raise NotUnderstood(type(error).__name__) from error


def _without_doubles(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Which of two values would count is nothing to guess (RFC 8259 section 4)."""
    found = dict(pairs)
    if len(found) < len(pairs):
        raise NotUnderstood("it has a name twice")
    return found


def _key(provider: Provider, event: AnymailTrackingEvent) -> UUID | None:
    """Our delivery's key where the provider gives it back."""
    key = said(event.metadata, DELIVERY)
    return (
        key_in_message_id(f"<{key}@")
        or key_in_message_id(str(event.message_id))
        or key_in(said(event.esp_event, provider.envelope_from))
    )


def _verdict(provider: Provider, event: AnymailTrackingEvent) -> Verdict | None:
    """What the event says about the mailbox; None when there is nothing to note.

    The enhanced status decides as it does in a report by mail. Where there is none, or
    it says nothing, the provider's own word does.
    """
    fields = event.esp_event
    words = {said(fields, path).lower() for path in provider.words}
    replies = (status_in(said(fields, path)) for path in provider.status)
    status = next(filter(None, replies), "")
    if words & provider.policy:
        return Verdict(Kind.POLICY, status)
    if event.event_type == EventType.COMPLAINED:
        return None if NOT_SPAM in words else Verdict(Kind.COMPLAINT)
    if event.event_type == EventType.DEFERRED:
        return Verdict(Kind.SOFT, status)
    if event.event_type not in FAILURES:
        return None
    if words & provider.listed:
        return Verdict(Kind.HARD, status)
    kind = kind_of("failed", status)
    if kind is Kind.UNKNOWN or status.endswith(".0.0"):
        kind = Kind.HARD if words & provider.hard else Kind.SOFT
    return Verdict(kind, status)
