"""One confirmation a day to a mailbox, whoever asks, and whoever was erased since."""

from datetime import datetime, timedelta

import pytest
from django.utils import timezone
from pytest_django import Settings

from mail import Delivery, Recipient
from newsletter.models import KeptAsking, Subscriber
from newsletter.moving import ask_to_move
from newsletter.personal_data import erase, forget
from newsletter.retention import let_go
from newsletter.subscribing import confirm
from tests.newsletter.test_lock_order import person, preferences
from tests.newsletter.test_subscribing import ROSA, link, policies, subscribe
from tests.racing import leaves_nothing_behind

__all__ = ["policies"]

VICTIM = "ben@example.com"


def confirmations() -> int:
    return Delivery.objects.filter(kind=Delivery.Kind.CONFIRMATION).count()


def rosa() -> Subscriber:
    return Subscriber.objects.select_related("recipient").get()


def until() -> datetime:
    return KeptAsking.objects.get().until


def test_signing_up_again_after_being_erased(policies: None) -> None:
    subscribe()
    confirm(link())
    forget(rosa())

    subscribe()
    assert confirmations() == 1

    let_go(timezone.now() + timedelta(hours=25))
    subscribe()
    assert confirmations() == 2
    assert not KeptAsking.objects.exists()


def test_naming_a_stranger_as_the_new_address_and_being_erased(policies: None) -> None:
    for number in range(4):
        ask_to_move(preferences(mover := person(f"rosa{number}@example.com")), VICTIM)
        erase(preferences(mover))
    subscribe(VICTIM)

    assert confirmations() == 1


def test_an_address_that_was_put_right_is_asked_once_all_the_same(
    policies: None,
) -> None:
    text = preferences(person(ROSA))
    for number in range(2):
        ask_to_move(text, VICTIM)
        ask_to_move(text, f"other{number}@example.com")

    moves = Delivery.objects.filter(kind=Delivery.Kind.CONFIRMATION)
    assert moves.count() == 3


def test_who_complained_is_not_asked_for_thirty_days(policies: None) -> None:
    subscribe()
    Recipient.objects.update(suppression="complaint", suppressed_at=timezone.now())
    asked_at = Delivery.objects.get().dated_at
    forget(rosa())

    subscribe()

    assert until() == asked_at + timedelta(days=30)
    assert confirmations() == 1


def test_erasing_again_shortens_nothing(policies: None) -> None:
    subscribe()
    forget(rosa())
    before = until()
    subscribe()

    forget(rosa())

    assert until() == before


def test_a_new_key_still_knows_who_was_asked(
    policies: None, settings: Settings
) -> None:
    subscribe()
    forget(rosa())
    settings.CONSENT_KEY_FALLBACKS = [settings.CONSENT_KEY]
    settings.CONSENT_KEY = "the next one"

    subscribe()

    assert confirmations() == 1


def test_what_is_kept_names_nobody(policies: None) -> None:
    subscribe()
    forget(rosa())

    (kept,) = KeptAsking.objects.values()

    assert ROSA not in str(kept)
    assert len(kept["address_mac"]) == 64


@pytest.mark.parametrize("asked", [timedelta(hours=25), timedelta(days=400)])
def test_who_was_asked_long_ago_leaves_nothing(
    policies: None, asked: timedelta
) -> None:
    subscribe()
    Delivery.objects.update(dated_at=timezone.now() - asked)

    forget(rosa())

    assert not KeptAsking.objects.exists()


def test_a_death_half_way_neither_erases_nor_remembers(policies: None) -> None:
    subscribe()

    leaves_nothing_behind(lambda: forget(rosa()))

    assert KeptAsking.objects.count() == 1
