"""Many connections in one thread: nobody waits for an answer to somebody else."""

import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

import pytest
from django.db import ProgrammingError
from pytest_django import Settings

from mail import Delivery, Recipient, enqueue
from mail.breaker import FAILURES, Breaker
from mail.claiming import Claim, claim
from mail.couriers import Couriers
from mail.sending import closing, send_due
from mail.smtp import Conversation, Letter
from tests.conftest import Mailbox
from tests.mail.test_sending import person, states, tip_for_everybody
from twitchsite.embedded.mailbox import messages

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


@contextmanager
def greeting_and_hanging_up() -> Iterator[tuple[int, list[bytes]]]:
    """A server that hangs up with its answer to EHLO; its port, and what it heard."""
    heard: list[bytes] = []
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            with suppress(OSError):
                while True:
                    connection, _ = listener.accept()
                    with connection:
                        connection.sendall(b"220 here\r\n")
                        heard.append(connection.recv(1000))
                        connection.sendall(b"250 here\r\n")

        thread = threading.Thread(target=serve)
        thread.start()
        yield listener.getsockname()[1], heard
        listener.shutdown(socket.SHUT_RDWR)
        thread.join()


def test_a_server_that_greets_and_hangs_up_is_not_called_again_and_again(
    db: None, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    breaker = Breaker()
    monkeypatch.setattr("mail.couriers.breaker", breaker)
    settings.MAIL_CONNECTIONS = 1
    claims = claimed(*several(20))

    with greeting_and_hanging_up() as (port, heard):
        settings.MAIL_SERVER = {**settings.MAIL_SERVER, "port": port}
        for _ in range(FAILURES + 2):
            with Couriers() as couriers:
                couriers.deliver(claims)

    assert len(heard) == FAILURES
    assert breaker.is_open()
    assert set(states().values()) == {State.QUEUED}


def test_a_fault_of_ours_ends_and_leaves_the_other_windows_whole(
    db: None, mailbox: Mailbox, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.MAIL_CONNECTIONS = 2
    mailbox.rcpt_seconds = {SLOW: 1}
    claims = claimed("slow", "odd")
    really = Conversation._mail_line

    def mail_line(self: Conversation, letter: Letter) -> str:
        if letter.recipient.startswith("odd"):
            raise ArithmeticError("a fault of ours")
        return really(self, letter)

    monkeypatch.setattr(Conversation, "_mail_line", mail_line)

    with pytest.raises(ArithmeticError), Couriers() as couriers:
        couriers.deliver(claims)

    assert states() == {"slow": State.ACCEPTED, "odd": State.HANDING_OVER}


def test_a_fate_that_cant_be_written_costs_no_other_its_own(
    db: None, mailbox: Mailbox, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.MAIL_CONNECTIONS = 2
    mailbox.rcpt_seconds = {SLOW: 1}
    mailbox.rcpt_replies = {"gone@example.com": "550 5.1.1 no"}
    claims = claimed("slow", "gone")

    def fail(*args: object) -> None:
        raise ProgrammingError("a fault of ours")

    monkeypatch.setattr("mail.couriers.settle", fail)

    with pytest.raises(ProgrammingError), Couriers() as couriers:
        couriers.deliver(claims)

    assert states()["slow"] == State.ACCEPTED


def test_claims_that_wait_for_a_slow_server_are_let_go(
    db: None, mailbox: Mailbox, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.MAIL_CONNECTIONS = 1
    monkeypatch.setattr("mail.couriers.STALE_SECONDS", 0.3)
    names = several(20)
    mailbox.rcpt_seconds = {f"{name}@example.com": 0.2 for name in names}
    claims = claimed(*names)
    single = Recipient.objects.create(address="new@example.com")

    def more() -> list[Claim]:
        if Delivery.objects.filter(recipient=single).exists():
            return []
        ask(single)
        return claim()

    with Couriers() as couriers:
        couriers.deliver(claims, more=more)

    assert mailbox.taken.index("new@example.com") < 5


def ask(recipient: Recipient) -> None:
    enqueue(
        recipient,
        kind=Delivery.Kind.CONFIRMATION,
        idempotency_key="one",
        subject="Please confirm",
        html="<html><body>x</body></html>",
        text="x",
    )


def test_a_message_larger_than_the_buffers_leaves_beside_others(
    db: None, mailbox: Mailbox, settings: Settings
) -> None:
    settings.MAIL_CONNECTIONS, settings.MAIL_DEADLINE_SECONDS = 2, 10
    beside = claimed(*several(5))
    ask(person("large"))
    large = b"To: @@TO@@\r\n\r\n" + (b"x" * 998 + b"\r\n") * 12_000
    Delivery.objects.filter(batch=None).update(message=large)
    claims = claim() + beside

    with Couriers() as couriers:
        couriers.deliver(claims)

    assert set(states().values()) == {State.ACCEPTED}
    assert max(one.path.stat().st_size for one in messages(mailbox.folder)) > 12_000_000


def test_an_unasked_for_goodbye_holds_up_nobody(
    db: None, mailbox: Mailbox, settings: Settings
) -> None:
    settings.MAIL_CONNECTIONS = 2
    claims, began = claimed(*several(2)), time.monotonic()

    with Couriers() as couriers:
        couriers.deliver(claims)
        mailbox.hang_up()
        time.sleep(0.2)
        couriers.deliver([])

    assert time.monotonic() - began < 4


def test_what_was_taken_is_noted_while_another_message_is_slow(
    db: None, mailbox: Mailbox, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.MAIL_CONNECTIONS = 2
    monkeypatch.setattr("mail.couriers.ASK_SECONDS", 0.2)
    mailbox.rcpt_seconds = {SLOW: 3}
    claims, seen = claimed("slow", "quick"), list[dict[str, str]]()

    def more() -> list[Claim]:
        seen.append(states())
        return []

    with Couriers() as couriers:
        couriers.deliver(claims, more=more)

    assert {"slow": State.HANDING_OVER, "quick": State.ACCEPTED} in seen


def test_who_waits_for_a_slow_message_asks_for_more(
    db: None, mailbox: Mailbox, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.MAIL_CONNECTIONS = 2
    monkeypatch.setattr("mail.couriers.ASK_SECONDS", 0.2)
    mailbox.rcpt_seconds = {SLOW: 3}
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
