"""No address stays that is nobody's, whatever people do."""

from datetime import timedelta
from functools import partial

from django.utils import timezone

from mail import Delivery, KeptSuppression, Recipient, block, recipient_for, tell_staff
from mail import erase as erase_mailbox
from newsletter.models import Subscriber
from newsletter.moving import ask_to_move, move
from newsletter.personal_data import erase, forget
from newsletter.retention import let_go
from newsletter.subscribing import confirm
from tests.newsletter.test_lock_order import moving, person, preferences
from tests.newsletter.test_preferences import NEW, mailed_link, moving_link, rosa
from tests.newsletter.test_subscribing import (
    ROSA,
    link,
    policies,
    publish_policies,
    subscribe,
)
from tests.racing import at_once

__all__ = ["policies", "rosa"]

TYPO = "rosa@nwe.example"
Suppression = Recipient.Suppression


def kept() -> set[str]:
    """Every address that is written anywhere, once it is sure to be somebody's."""
    pointers = ("recipient", "moving_to", "moved_from")
    theirs = {pk for row in Subscriber.objects.values_list(*pointers) for pk in row}
    found = Recipient.objects.filter(erased_at=None)
    assert {one.pk for one in found} <= theirs
    return {one.address for one in found}


def a_day_passes() -> None:
    Delivery.objects.update(dated_at=timezone.now() - timedelta(hours=25))


def test_signing_up_and_confirming(policies: None) -> None:
    subscribe()
    assert kept() == {ROSA}

    confirm(link())
    assert kept() == {ROSA}


def test_what_was_mistyped_goes_when_it_is_put_right(rosa: Subscriber) -> None:
    text = mailed_link()
    ask_to_move(text, TYPO)
    assert kept() == {ROSA, TYPO}

    ask_to_move(text, NEW)

    assert kept() == {ROSA, NEW}
    assert (
        not Delivery.objects.waiting()
        .filter(kind="confirmation")
        .exclude(recipient__address__in=[ROSA, NEW])
    )


def test_what_is_asked_for_again_stays(rosa: Subscriber) -> None:
    text = mailed_link()
    ask_to_move(text, NEW)
    ask_to_move(text, NEW)
    assert kept() == {ROSA, NEW}

    Delivery.objects.filter(recipient__address=NEW).update(
        dated_at=timezone.now() - timedelta(hours=25)
    )
    ask_to_move(text, NEW)

    assert kept() == {ROSA, NEW}


def test_a_mailbox_that_was_blocked_and_erased_is_not_written_down_again(
    rosa: Subscriber,
) -> None:
    target = recipient_for(NEW)
    block(target)
    erase_mailbox(target)

    ask_to_move(mailed_link(), NEW)

    assert kept() == {ROSA}
    assert KeptSuppression.objects.get().suppression == Suppression.MANUAL
    ask_to_move(mailed_link(), TYPO)
    assert kept() == {ROSA, TYPO}


def test_moving_and_erasing(rosa: Subscriber) -> None:
    text = moving_link(mailed_link())

    move(text)
    assert kept() == {ROSA, NEW}

    forget(Subscriber.objects.get())
    assert kept() == set()


def test_moving_there_and_back_keeps_both_for_a_while(rosa: Subscriber) -> None:
    moved = move(moving_link(mailed_link()))
    a_day_passes()

    back = move(moving(moved, Recipient.objects.get(address=ROSA)))

    assert back.recipient.address == ROSA
    assert kept() == {ROSA, NEW}


def test_whoever_is_taken_over_leaves_no_other_address(rosa: Subscriber) -> None:
    other = person(NEW)
    other.status, other.unsubscribed_at = "unsubscribed", timezone.now()
    other.moved_from, other.moved_at = recipient_for("old@x.example"), timezone.now()
    moving(other, recipient_for(TYPO))
    a_day_passes()

    move(moving_link(mailed_link()))

    assert kept() == {ROSA, NEW}


def test_of_two_who_are_on_the_way_to_a_mailbox_the_last_takes_it_along(
    cloned_database: str,
) -> None:
    publish_policies()
    for number in range(8):
        target = recipient_for(f"new@try{number}.example")
        people = [person(f"{who}@try{number}.example") for who in ("rosa", "ben")]
        texts = [preferences(one) for one in people]
        for one in people:
            moving(one, target)

        assert at_once(*[partial(erase, text) for text in texts]) == [None, None]

        assert kept() == set()


def test_the_mailbox_of_staff_is_nobodys_to_erase(rosa: Subscriber) -> None:
    tell_staff(NEW, "test", {}, idempotency_key="one")
    text = mailed_link()
    ask_to_move(text, NEW)

    ask_to_move(text, TYPO)
    let_go(timezone.now() + timedelta(days=8))

    assert Delivery.objects.waiting().filter(kind="staff").exists()
    assert set(
        Recipient.objects.filter(erased_at=None).values_list("address", flat=True)
    ) == {ROSA, NEW}


def test_what_is_nobodys_all_the_same_is_erased_within_a_day(rosa: Subscriber) -> None:
    recipient_for(NEW)

    assert let_go(timezone.now() + timedelta(hours=23)).former_addresses == 0
    assert let_go(timezone.now() + timedelta(hours=25)).former_addresses == 1

    assert kept() == {ROSA}
