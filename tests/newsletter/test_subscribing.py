"""From the box to the list and out: proof first, one mail, no race."""

import re
from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from articles.editing import revise
from articles.models import Article
from articles.publishing import publish
from ledger import Entry
from mail import Delivery, NotAnAddress, Recipient, token
from newsletter import subscribing
from newsletter.consent import context_commitment
from newsletter.models import (
    ConsentContext,
    ConsentEvent,
    KeptAsking,
    SignUp,
    Subscriber,
)
from newsletter.subscribing import (
    SignUpClosed,
    confirm,
    resolve_sign_ups,
    take_sign_up,
    to_confirm,
    unsubscribe,
)

ROSA = "rosa@example.com"
Status = Subscriber.Status


@pytest.fixture
def policies(db: None) -> None:
    publish_policies()


def publish_policies() -> None:
    """Terms and privacy notice, without which nobody can sign up."""
    for slug in ("terms", "privacy"):
        policy = Article.objects.create(slug=slug, kind=Article.Kind.POLICY)
        content = {"title": slug, "summary": slug, "body": f"<p>{slug}</p>"}
        revision, _ = revise(policy, content, by=None)
        publish(revision)


def link() -> str:
    """The token in the newest confirmation that waits to be sent."""
    delivery = Delivery.objects.filter(kind=Delivery.Kind.CONFIRMATION).latest("pk")
    found = re.search(rb"/newsletter/confirm/([^/]+)/", bytes(delivery.message or b""))
    assert found
    return found[1].decode()


def subscribe(address: str = ROSA, **details: Any) -> None:
    # A second after whatever was published or reworded.
    subscribing._shown.cache_clear()
    take_sign_up(address, **details)
    resolve_sign_ups()


def a_day_later() -> None:
    """A mailbox that was asked, and erased since, may be asked anew."""
    assert KeptAsking.objects.update(until=timezone.now())


def test_sign_up_is_closed_without_terms(db: None) -> None:
    with pytest.raises(SignUpClosed):
        take_sign_up(ROSA)

    assert not SignUp.objects.exists()


def test_a_wrong_address_leaves_nothing(policies: None) -> None:
    with pytest.raises(NotAnAddress):
        take_sign_up("rosa@")

    assert not SignUp.objects.exists()


def test_e6_one_click_is_two_facts_and_one_mail(policies: None) -> None:
    subscribe(page="https://health.example/", network="192.0.2.0/24")

    newsletter, terms = ConsentEvent.objects.order_by("pk")
    assert (newsletter.matter, terms.matter) == ("newsletter", "terms")
    assert newsletter.wording is not None
    assert newsletter.wording.text["agreement"].endswith("agree to our Terms of Use")
    assert terms.terms_id is not None
    assert Entry.objects.filter(kind="newsletter.consent_event").count() == 2
    assert Delivery.objects.count() == 1
    assert not SignUp.objects.exists()
    assert not Recipient.objects.get().may_receive


def test_where_it_was_said_can_be_shown_and_erased(policies: None) -> None:
    subscribe(page="https://health.example/", network="192.0.2.0/24")
    context = ConsentContext.objects.get()

    shown = context_commitment(context.salt, context.page, context.network)
    assert shown == context.event.context_commitment
    ConsentContext.objects.all().delete()
    assert ConsentEvent.objects.filter(context_commitment=shown).exists()


def test_confirming_sets_the_person_free_once(policies: None) -> None:
    subscribe()
    text = link()

    first, second = confirm(text), confirm(text)

    assert first is not None
    assert second is not None
    assert Recipient.objects.get().may_receive
    assert Subscriber.objects.eligible().count() == 1
    assert ConsentEvent.objects.filter(act="confirmed").count() == 1


def test_looking_at_the_link_changes_nothing(policies: None) -> None:
    subscribe()

    assert to_confirm(link()) is not None
    assert not Subscriber.objects.filter(status=Status.CONFIRMED).exists()


def test_a_confirmation_grows_old(policies: None) -> None:
    subscribe()
    text = link()
    old = timezone.now() - timedelta(days=8)
    Subscriber.objects.update(asked_at=old)

    bound = token("confirm", Recipient.objects.get().key, bound_to=old.isoformat())

    assert confirm(text) is None
    assert confirm(bound) is None


def test_one_confirmation_a_day_whoever_asks(policies: None) -> None:
    for spelling in (ROSA, "Rosa@Example.com", " rosa@EXAMPLE.com"):
        subscribe(spelling)

    assert Delivery.objects.filter(kind=Delivery.Kind.CONFIRMATION).count() == 1
    assert Subscriber.objects.count() == 1


def test_a_confirmed_person_is_asked_nothing(policies: None) -> None:
    subscribe()
    confirm(link())
    Delivery.objects.update(dated_at=timezone.now() - timedelta(days=40))

    subscribe()

    assert Delivery.objects.count() == 1


def test_a_manual_block_is_final(policies: None) -> None:
    Recipient.objects.create(
        address=ROSA,
        suppressed_at=timezone.now(),
        suppression=Recipient.Suppression.MANUAL,
    )

    subscribe()

    assert not Delivery.objects.exists()


def test_confirming_lifts_a_bounce(policies: None) -> None:
    Recipient.objects.create(
        address=ROSA,
        suppressed_at=timezone.now(),
        suppression=Recipient.Suppression.HARD_BOUNCE,
    )
    subscribe()

    confirm(link())

    assert Recipient.objects.get().suppressed_at is None
    assert Subscriber.objects.eligible().count() == 1


def test_unsubscribing_works_at_once_for_ever_and_twice(policies: None) -> None:
    subscribe()
    confirmation = link()
    confirm(confirmation)
    text = token("unsubscribe", Recipient.objects.get().key)

    assert unsubscribe(text)
    assert unsubscribe(text)

    assert not Recipient.objects.get().may_receive
    assert not Subscriber.objects.eligible().exists()
    assert ConsentEvent.objects.filter(act="withdrawn").count() == 1
    assert confirm(confirmation) is None


def test_a_token_for_one_thing_does_no_other(policies: None) -> None:
    subscribe()
    key = Recipient.objects.get().key

    assert confirm(token("unsubscribe", key)) is None
    assert not unsubscribe(link())
    assert not unsubscribe("x" * 44)


def test_coming_back_is_a_new_consent(policies: None) -> None:
    subscribe()
    confirm(link())
    unsubscribe(token("unsubscribe", Recipient.objects.get().key))
    Delivery.objects.update(dated_at=timezone.now() - timedelta(hours=25))

    subscribe()
    confirm(link())

    acts = ConsentEvent.objects.filter(matter="newsletter").order_by("pk")
    assert [event.act for event in acts] == [
        "requested",
        "confirmed",
        "withdrawn",
        "requested",
        "confirmed",
    ]
    assert Subscriber.objects.eligible().count() == 1
