"""CONSENT_KEY can be changed: what the old key signed counts until it is dropped."""

import re
from collections.abc import Callable

import httpx
import pytest
from django.utils import timezone
from pytest_django import Settings

from mail import Delivery, Recipient, token
from mail.models import KeptSuppression
from newsletter.models import Subscriber
from newsletter.moving import ask_to_move, move
from newsletter.personal_data import erase, forget
from newsletter.preferences import LinkInvalid, holder
from newsletter.subscribing import confirm, unsubscribe
from tests.newsletter.test_mailed_links import web
from tests.newsletter.test_preferences import (
    NEW,
    mailed_link,
    moving_link,
    rosa,
)
from tests.newsletter.test_subscribing import ROSA, link, policies, subscribe

__all__ = ["policies", "rosa", "web"]

Rotate = Callable[..., None]
Status = Subscriber.Status


@pytest.fixture
def rotate(settings: Settings) -> Rotate:
    """A new key; the one before is still believed, unless it is dropped."""

    def change(*, dropping: bool = False) -> None:
        settings.CONSENT_KEY_FALLBACKS = [] if dropping else [settings.CONSENT_KEY]
        settings.CONSENT_KEY = "a new key"

    return change


def suppress(why: Recipient.Suppression) -> None:
    Recipient.objects.update(suppressed_at=timezone.now(), suppression=why)


def test_links_of_the_old_key_work(rosa: Subscriber, rotate: Rotate) -> None:
    leaving = token("unsubscribe", rosa.recipient.key)
    preferences = mailed_link()
    moving = moving_link(preferences)

    rotate()

    assert holder(preferences) == rosa
    assert move(moving).recipient.address == NEW
    subscriber = Subscriber.objects.get()
    assert unsubscribe(leaving)
    # That link is of the mailbox that was left.
    assert Subscriber.objects.get().status == subscriber.status
    assert unsubscribe(token("unsubscribe", subscriber.recipient.key))
    assert Subscriber.objects.get().status == Status.UNSUBSCRIBED


def test_an_unsubscribe_link_of_the_old_key_takes_off_the_list(
    rosa: Subscriber, rotate: Rotate
) -> None:
    leaving = token("unsubscribe", rosa.recipient.key)

    rotate()

    assert unsubscribe(leaving)
    assert Subscriber.objects.get().status == Status.UNSUBSCRIBED


def test_a_confirmation_of_the_old_key_confirms(policies: None, rotate: Rotate) -> None:
    subscribe()

    rotate()

    assert confirm(link())
    assert Subscriber.objects.get().status == Status.CONFIRMED


def test_a_new_link_is_of_the_new_key(
    rosa: Subscriber, rotate: Rotate, settings: Settings
) -> None:
    rotate()
    text = mailed_link()

    settings.CONSENT_KEY_FALLBACKS = []

    assert holder(text) == rosa


def test_a_block_is_known_by_the_old_keys_hash(
    rosa: Subscriber, rotate: Rotate
) -> None:
    suppress(Recipient.Suppression.MANUAL)
    forget(Subscriber.objects.get())

    rotate()
    subscribe()

    assert Recipient.objects.get(address=ROSA).suppression == "manual"
    assert not Delivery.objects.filter(recipient__address=ROSA).exists()
    subscribe("tom@example.com")
    assert Recipient.objects.get(address="tom@example.com").suppression == ""


def test_a_block_that_is_erased_later_is_hashed_with_the_new_key(
    rosa: Subscriber, rotate: Rotate, settings: Settings
) -> None:
    suppress(Recipient.Suppression.COMPLAINT)
    rotate()
    erase(mailed_link())
    assert KeptSuppression.objects.count() == 1

    settings.CONSENT_KEY_FALLBACKS = []
    subscribe()

    assert Recipient.objects.get(address=ROSA).suppression == "complaint"


def test_a_dropped_key_ends_its_links_kindly(
    rosa: Subscriber, rotate: Rotate, web: httpx.Client
) -> None:
    leaving = token("unsubscribe", rosa.recipient.key)
    preferences = mailed_link()
    ask_to_move(preferences, NEW)

    rotate(dropping=True)

    assert not unsubscribe(leaving)
    with pytest.raises(LinkInvalid):
        holder(preferences)
    for path in ("unsubscribe", "confirm"):
        answer = web.get(f"/newsletter/{path}/{leaving}/")
        assert answer.status_code == 404
        assert re.search(rb"<h1>[^<]+</h1>", answer.content)
    assert Subscriber.objects.get().status == Status.CONFIRMED
