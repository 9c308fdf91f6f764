"""Whoever comes at the same time waits, and nobody waits in a circle."""

from collections.abc import Iterator
from datetime import timedelta
from functools import partial

import pytest
from django.utils import timezone

from mail import Recipient, recipient_for, token
from mail import erase as erase_mailbox
from newsletter.models import LinkRequest, SignUp, Subscriber
from newsletter.moving import ask_to_move, bound_to, move
from newsletter.personal_data import erase
from newsletter.preferences import LinkInvalid, ask_for_link, resolve_link_requests
from newsletter.retention import let_go
from newsletter.subscribing import resolve_sign_ups, take_sign_up
from tests.newsletter.test_subscribing import ROSA, publish_policies
from tests.racing import at_once

BEN = "ben@example.com"
TRIES = 12


@pytest.fixture
def tries(cloned_database: str) -> Iterator[str]:
    """A domain of its own for each."""
    publish_policies()
    return (f"try{number}.example" for number in range(TRIES))


def person(address: str) -> Subscriber:
    """Somebody on the list."""
    now = timezone.now()
    recipient = Recipient.objects.create(address=address, may_receive=True)
    return Subscriber.objects.create(
        recipient=recipient, status="confirmed", confirmed_at=now, link_sent_at=now
    )


def preferences(subscriber: Subscriber) -> str:
    assert subscriber.link_sent_at
    sent_at = subscriber.link_sent_at.isoformat()
    return token("preferences", subscriber.recipient.key, bound_to=sent_at)


def moving(subscriber: Subscriber, target: Recipient) -> str:
    """The link of somebody who moves to `target`."""
    subscriber.moving_to, subscriber.moving_asked_at = target, timezone.now()
    subscriber.save()
    return token("move", target.key, bound_to=bound_to(subscriber))


def test_erasing_and_the_worker_for_sign_ups(tries: Iterator[str]) -> None:
    for domain in tries:
        rosa_at = f"rosa@{domain}"
        text = preferences(person(rosa_at))
        for _ in range(4):
            take_sign_up(rosa_at)

        ends = at_once(partial(erase, text), *[resolve_sign_ups] * 2)

        assert ends[0] is None
        assert all(isinstance(one, int) for one in ends[1:]), ends
        assert not SignUp.objects.exists()
        assert not Recipient.objects.filter(address=rosa_at).exists()


def test_erasing_and_the_worker_for_links(tries: Iterator[str]) -> None:
    for domain in tries:
        rosa_at = f"rosa@{domain}"
        text = preferences(person(rosa_at))
        LinkRequest.objects.create(address=rosa_at)

        erased, resolved = at_once(partial(erase, text), resolve_link_requests)

        # A link that was mailed just now replaces the one that was pressed.
        assert erased is None or isinstance(erased, LinkInvalid), erased
        assert isinstance(resolved, int)
        assert not LinkRequest.objects.exists()


def test_forgetting_who_is_silent_and_the_workers(tries: Iterator[str]) -> None:
    for domain in tries:
        for place in range(3):
            silent = person(f"rosa{place}@{domain}")
            left = timezone.now() - timedelta(days=2_000)
            silent.status, silent.unsubscribed_at = "unsubscribed", left
            silent.link_sent_at = None
            silent.save()
            take_sign_up(silent.recipient.address)
            ask_for_link(silent.recipient.address)

        ends = at_once(let_go, resolve_sign_ups, resolve_link_requests, let_go)

        assert not [one for one in ends if isinstance(one, Exception)]
        assert not SignUp.objects.exists()


def test_two_who_ask_to_move_to_each_other(tries: Iterator[str]) -> None:
    for domain in tries:
        rosa_at = f"rosa@{domain}"
        ben_at = f"ben@{domain}"
        rosa, ben = preferences(person(rosa_at)), preferences(person(ben_at))

        ends = at_once(
            partial(ask_to_move, rosa, ben_at),
            partial(ask_to_move, ben, rosa_at),
        )

        assert ends == [None, None]


def test_two_who_move_to_each_other(tries: Iterator[str]) -> None:
    for domain in tries:
        rosa_at = f"rosa@{domain}"
        rosa, ben = person(rosa_at), person(f"ben@{domain}")
        texts = moving(rosa, ben.recipient), moving(ben, rosa.recipient)

        ends = at_once(*[partial(move, text) for text in texts])

        # Who comes second takes over the one who is off the list by then.
        assert [type(one) for one in ends] in (
            [Subscriber, Subscriber],
            [Subscriber, LinkInvalid],
            [LinkInvalid, Subscriber],
        ), ends
        theirs = Subscriber.objects.filter(recipient__address__endswith=domain)
        assert theirs.eligible().count() == 1


def test_whoever_wants_a_mailbox_that_is_erased_just_now_makes_it_anew(
    tries: Iterator[str],
) -> None:
    for domain in tries:
        rosa_at = f"rosa@{domain}"
        old = recipient_for(rosa_at)

        ends = at_once(
            partial(erase_mailbox, old), *[partial(recipient_for, rosa_at)] * 3
        )

        assert ends[0] is None
        assert not [one for one in ends if isinstance(one, Exception)]


def test_a_link_to_a_mailbox_that_was_erased_since_moves_nobody(
    cloned_database: str,
) -> None:
    rosa, ben = person(ROSA), person(BEN)
    text = moving(rosa, ben.recipient)
    erase(preferences(ben))

    with pytest.raises(LinkInvalid):
        move(text)
