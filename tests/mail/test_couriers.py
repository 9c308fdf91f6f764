"""Many connections in one thread: nobody waits for an answer to somebody else."""

import time
from collections.abc import Callable

import pytest
from pytest_django import Settings

from mail import Delivery
from mail.claiming import Claim, claim
from mail.couriers import Couriers
from mail.sending import closing, send_due
from tests.conftest import Mailbox
from tests.mail.test_sending import person, states, tip_for_everybody

State = Delivery.State
SLOW = "slow@example.com"


def claimed(*names: str) -> list[Claim]:
    """A tip for each of them, in this order."""
    for name in names:
        person(name)
    tip_for_everybody()
    return sorted(claim(), key=lambda one: names.index(one.address.partition("@")[0]))


def several(number: int) -> list[str]:
    return [f"p{one}" for one in range(number)]


def test_a_slow_message_keeps_nobody_waiting(
    db: None, mailbox: Mailbox, settings: Settings
) -> None:
    settings.MAIL_CONNECTIONS = 2
    mailbox.rcpt_seconds = {SLOW: 2}
    claims = claimed("slow", *several(20))

    with Couriers() as couriers:
        couriers.deliver(claims)

    assert (len(mailbox.taken), mailbox.taken[-1]) == (21, SLOW)


def test_a_slow_greeting_keeps_nobody_waiting(
    db: None, mailbox: Mailbox, settings: Settings
) -> None:
    settings.MAIL_CONNECTIONS = 2
    mailbox.ehlo_seconds = [0, 20]
    claims, began = claimed(*several(20)), time.monotonic()

    with Couriers() as couriers:
        couriers.deliver(claims)

    assert len(mailbox.taken) == 20
    assert time.monotonic() - began < 10


def test_a_server_that_takes_fewer_connections_gets_all_the_same(
    db: None, mailbox: Mailbox, settings: Settings
) -> None:
    settings.MAIL_CONNECTIONS = 4
    mailbox.ehlo_replies = ["", *["421 too many connections"] * 20]
    claims = claimed(*several(20))

    with Couriers() as couriers:
        couriers.deliver(claims)

    assert len(mailbox.taken) == 20
    # EHLO and HELO, by each of those who were turned away, once.
    assert len(mailbox.ehlo_replies) >= 20 - 2 * 3


def test_a_server_that_hung_up_meanwhile_is_called_again(
    db: None, mailbox: Mailbox, settings: Settings
) -> None:
    settings.MAIL_CONNECTIONS = 2
    first, *others = claimed(*several(5))

    with Couriers() as couriers:
        couriers.deliver([first])
        mailbox.hang_up()
        time.sleep(0.2)
        couriers.deliver(others)

    assert set(states().values()) == {State.ACCEPTED}


def test_what_was_taken_is_noted_while_another_message_is_slow(
    db: None, mailbox: Mailbox, settings: Settings
) -> None:
    settings.MAIL_CONNECTIONS = 2
    mailbox.rcpt_seconds = {SLOW: 2.5}
    claims, seen = claimed("slow", "quick"), list[dict[str, str]]()

    def more() -> list[Claim]:
        seen.append(states())
        return []

    with Couriers() as couriers:
        couriers.deliver(claims, more=more)

    assert {"slow": State.HANDING_OVER, "quick": State.ACCEPTED} in seen


def test_who_waits_for_a_slow_message_asks_for_more(
    db: None, mailbox: Mailbox, settings: Settings
) -> None:
    settings.MAIL_CONNECTIONS = 2
    mailbox.rcpt_seconds = {SLOW: 2.5}
    slow, late = claimed("slow", "late")
    batches = [[], [late]]

    with Couriers() as couriers:
        couriers.deliver([slow], more=lambda: batches.pop(0) if batches else [])

    assert mailbox.taken == ["late@example.com", SLOW]


def test_nothing_is_claimed_where_no_server_answers(
    db: None, settings: Settings
) -> None:
    settings.MAIL_SERVER = {**settings.MAIL_SERVER, "port": 1}
    asked: list[int] = []

    def more() -> list[Claim]:
        asked.append(1)
        return []

    with Couriers() as couriers:
        assert couriers.deliver(more=more) == 0

    assert asked == []


def test_a_process_that_ends_finishes_what_is_in_hand_and_no_more(
    db: None, mailbox: Mailbox, settings: Settings
) -> None:
    settings.MAIL_CONNECTIONS = 2
    claims = claimed(*several(20))

    with Couriers() as couriers:
        couriers.deliver(claims, is_over=enough(mailbox))

    known = sorted(states().values())
    assert set(known) == {State.ACCEPTED, State.QUEUED}
    assert known.count(State.ACCEPTED) == len(mailbox.taken) < 20
    assert len(claim()) == known.count(State.QUEUED)


def enough(mailbox: Mailbox) -> Callable[[], bool]:
    return lambda: len(mailbox.taken) >= 3


def test_a_sender_that_is_asked_to_end_begins_nothing(
    db: None, mailbox: Mailbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    person("rosa")
    tip_for_everybody()
    closing.set()

    try:
        assert send_due() == 0
    finally:
        closing.clear()

    assert (mailbox.taken, states()) == ([], {"rosa": State.QUEUED})


@pytest.mark.parametrize("window", [1, 3])
def test_a_sender_keeps_to_its_connections(
    db: None, mailbox: Mailbox, settings: Settings, window: int
) -> None:
    settings.MAIL_CONNECTIONS, settings.HANDOVER_WINDOW = 3, window
    for name in several(40):
        person(name)
    tip_for_everybody()

    send_due()

    assert len(mailbox.taken) == 40
    assert len(mailbox.connected) == 3
