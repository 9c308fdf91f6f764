"""The fault table B2: what the server does, and what is noted."""

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import pytest

from mail.smtp import Conversation, Fate, Letter, Outcome

MESSAGE = b"Subject: x\r\n\r\n.lone dot\r\n..\r\nlast line"


class FaultyServer:
    """A real SMTP server on loopback that misbehaves at one step.

    `faults` maps a step (mail, rcpt, data, body, dot) to a reply line, or to None
    for hanging up without one. `body` hangs up before the final dot is read.
    """

    def __init__(
        self, faults: dict[str, bytes | None], ehlo: bytes = b"250 8BITMIME\r\n"
    ):
        self.faults = faults
        self.ehlo = ehlo
        self.accepted: list[bytes] = []
        self.heard: list[bytes] = []
        # Between two octets of a planned reply.
        self.drip_seconds = 0.0
        # After its answer to a body.
        self.hangs_up = False
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def _serve(self) -> None:
        connection, _ = self._listener.accept()
        connection.settimeout(10)
        with (
            # Whoever calls may leave while it speaks.
            suppress(ConnectionError),
            connection,
            connection.makefile("rwb", buffering=0) as wire,
        ):
            wire.write(b"220 faulty\r\n")
            while (line := wire.readline()) and self._answer(wire, line):
                pass

    def _answer(self, wire: socket.SocketIO, line: bytes) -> bool:
        self.heard.append(line)
        step = line[:4].strip().lower().decode()
        if step in ("ehlo", "helo"):
            wire.write(self.ehlo)
            return True
        if step in self.faults:
            reply = self.faults[step]
            self._say(wire, reply or b"")
            return reply is not None
        if step == "data":
            wire.write(b"354 go on\r\n")
            return self._take_body(wire)
        wire.write(b"221 bye\r\n" if step == "quit" else b"250 ok\r\n")
        return step != "quit"

    def _say(self, wire: socket.SocketIO, reply: bytes) -> None:
        with suppress(OSError):
            if not self.drip_seconds:
                wire.write(reply)
                return
            for octet in reply:
                wire.write(bytes([octet]))
                time.sleep(self.drip_seconds)

    def _take_body(self, wire: socket.SocketIO) -> bool:
        if "body" in self.faults:
            wire.readline()
            return False
        body = b""
        while (line := wire.readline()) != b".\r\n":
            if not line:
                return False
            body += line[1:] if line.startswith(b".") else line
        reply = self.faults.get("dot", b"250 taken\r\n")
        if reply is None or reply.startswith(b"250"):
            self.accepted.append(body)
        self._say(wire, reply or b"")
        return reply is not None and not self.hangs_up

    def close(self) -> None:
        self._listener.close()
        self._thread.join(timeout=10)


PLAIN = b"250-here\r\n250 8BITMIME\r\n"
PIPELINING = b"250-here\r\n250-PIPELINING\r\n250 8BITMIME\r\n"


@contextmanager
def faulty(ehlo: bytes = PLAIN, **faults: bytes | None) -> Iterator[FaultyServer]:
    server = FaultyServer(faults, ehlo)
    try:
        yield server
    finally:
        server.close()


def conversation(port: int, *, tls: str = "none", seconds: float = 5) -> Conversation:
    settings = {
        "host": "127.0.0.1",
        "port": port,
        "username": "",
        "password": "",
        "tls": tls,
    }
    return Conversation(settings, deadline_seconds=seconds)


def deliver(server: FaultyServer) -> Outcome:
    with conversation(server.port) as talk:
        return talk.hand_over("bounces@health.example", "rosa@example.com", MESSAGE)


def test_a_message_arrives_byte_for_byte() -> None:
    with faulty() as server:
        outcome = deliver(server)

    assert outcome.fate is Fate.ACCEPTED
    assert server.accepted == [MESSAGE + b"\r\n"]


@pytest.mark.parametrize("ehlo", [PLAIN, PIPELINING])
@pytest.mark.parametrize(
    ("faults", "fate"),
    [
        ({"mail": None}, Fate.LATER),
        ({"mail": b"421 busy\r\n"}, Fate.LATER),
        ({"mail": b"451 busy\r\n"}, Fate.LATER),
        ({"mail": b"550 not you\r\n"}, Fate.SENDER_REFUSED),
        ({"rcpt": None}, Fate.LATER),
        ({"rcpt": b"421 busy\r\n"}, Fate.LATER),
        ({"rcpt": b"451 greylisted\r\n"}, Fate.LATER),
        ({"rcpt": b"550 5.7.1 policy\r\n"}, Fate.REFUSED),
        ({"data": None}, Fate.LATER),
        ({"data": b"451 busy\r\n"}, Fate.LATER),
        ({"body": None}, Fate.UNCERTAIN),
        ({"dot": None}, Fate.UNCERTAIN),
        ({"dot": b"421 busy\r\n"}, Fate.LATER),
        ({"dot": b"451 busy\r\n"}, Fate.LATER),
        ({"dot": b"550 spam\r\n"}, Fate.REFUSED),
        ({"dot": b"251 forwarded\r\n"}, Fate.ACCEPTED),
        ({"dot": b"200 taken\r\n"}, Fate.ACCEPTED),
        ({"rcpt": b"252 will try\r\n"}, Fate.ACCEPTED),
        ({"quit": None}, Fate.ACCEPTED),
    ],
)
def test_s4_each_fault_has_its_own_fate(
    faults: dict[str, bytes | None], fate: Fate, ehlo: bytes
) -> None:
    with faulty(ehlo, **faults) as server:
        outcome = deliver(server)

    assert outcome.fate is fate
    assert not outcome.no_such_mailbox


NO_REPLY_TO_A_MESSAGE = (
    b"\r\n",
    b"taken\r\n",
    b"199 x\r\n",
    b"354 x\r\n",
    b"600 x\r\n",
)


@pytest.mark.parametrize("ehlo", [PLAIN, PIPELINING])
@pytest.mark.parametrize("reply", NO_REPLY_TO_A_MESSAGE)
def test_s4_what_is_no_reply_to_a_message_leaves_it_uncertain(
    reply: bytes, ehlo: bytes
) -> None:
    with faulty(ehlo, dot=reply) as server:
        first, *others = three(server)

    assert (first.fate, first.reusable) == (Fate.UNCERTAIN, False)
    assert {one.fate for one in others} == {Fate.LATER}


@pytest.mark.parametrize("ehlo", [PLAIN, PIPELINING])
@pytest.mark.parametrize("step", ["mail", "rcpt", "data"])
@pytest.mark.parametrize("reply", [b"\r\n", b"garbled\r\n", b"120 x\r\n", b"600 x\r\n"])
def test_s4_a_garbled_envelope_ends_the_connection(
    reply: bytes, step: str, ehlo: bytes
) -> None:
    """From there on each reply would be taken for the answer to another command."""
    with faulty(ehlo, **{step: reply}) as server:
        outcomes = three(server)

    assert [(one.fate, one.reusable) for one in outcomes] == [(Fate.LATER, False)] * 3
    assert server.accepted == []


@pytest.mark.parametrize("ehlo", [PLAIN, PIPELINING])
def test_s4_a_garbled_reply_after_a_refusal_ends_the_connection(ehlo: bytes) -> None:
    with faulty(ehlo, rcpt=b"550 5.1.1 no\r\n", data=b"\r\n", rset=b"\r\n") as server:
        first, *others = three(server)

    assert (first.fate, first.reusable) == (Fate.REFUSED, False)
    assert {one.fate for one in others} == {Fate.LATER}


def three(server: FaultyServer) -> list[Outcome]:
    """The outcomes of three letters handed over in one go."""
    letters = [
        Letter("bounces@health.example", f"r{number}@example.com", MESSAGE)
        for number in range(3)
    ]
    with conversation(server.port) as talk:
        return list(talk.hand_over_all(letters))


@pytest.mark.parametrize("ehlo", [PLAIN, PIPELINING])
def test_several_letters_share_a_connection(ehlo: bytes) -> None:
    with faulty(ehlo) as server:
        outcomes = three(server)

    assert [one.fate for one in outcomes] == [Fate.ACCEPTED] * 3
    assert server.accepted == [MESSAGE + b"\r\n"] * 3


@pytest.mark.parametrize("ehlo", [PLAIN, PIPELINING])
@pytest.mark.parametrize(
    "faults", [{"rcpt": b"550 5.1.1 no\r\n"}, {"mail": b"451 busy\r\n"}]
)
def test_a_refused_letter_costs_the_others_nothing(
    faults: dict[str, bytes | None], ehlo: bytes
) -> None:
    """The faulty server takes DATA without a recipient: an empty one is ended."""
    with faulty(ehlo, **faults) as server:
        outcomes = three(server)

    assert all(one.reusable for one in outcomes)
    assert len({one.fate for one in outcomes}) == 1
    assert [body for body in server.accepted if body.strip()] == []


@pytest.mark.parametrize("ehlo", [PLAIN, PIPELINING])
def test_s4_letters_not_begun_when_the_connection_ends_come_later(
    ehlo: bytes,
) -> None:
    with faulty(ehlo, dot=None) as server:
        outcomes = three(server)

    fates = [one.fate for one in outcomes]
    assert fates == [Fate.UNCERTAIN, Fate.LATER, Fate.LATER]
    assert len(server.accepted) == 1


def test_pipelining_is_used_where_it_is_offered_and_only_there() -> None:
    """RFC 2920: the server hears RCPT and DATA before it has answered MAIL."""
    heard: dict[bytes, list[bytes]] = {}
    for ehlo in (PLAIN, PIPELINING):
        with faulty(ehlo, mail=b"550 not you\r\n") as server:
            deliver(server)
        heard[ehlo] = [line[:4].upper() for line in server.heard]

    assert heard[PLAIN] == [b"EHLO", b"MAIL", b"RSET", b"QUIT"]
    assert heard[PIPELINING][:4] == [b"EHLO", b"MAIL", b"RCPT", b"DATA"]


def test_s4_a_refusal_holds_when_the_server_hangs_up_after_it() -> None:
    with faulty(PIPELINING, rcpt=b"550 5.1.1 no\r\n", data=None) as server:
        outcome = deliver(server)

    assert (outcome.fate, outcome.no_such_mailbox) == (Fate.REFUSED, True)
    assert not outcome.reusable


@pytest.mark.parametrize("ehlo", [PLAIN, PIPELINING])
def test_s4_a_reply_too_many_is_not_taken_for_the_next_ones(ehlo: bytes) -> None:
    letter = Letter("a@health.example", "b@example.com", MESSAGE)
    with (
        faulty(ehlo, dot=b"250 taken\r\n550 what?\r\n") as server,
        conversation(server.port) as talk,
    ):
        first = list(talk.hand_over_all([letter]))
        second = list(talk.hand_over_all([letter]))

    assert [one.fate for one in first + second] == [Fate.ACCEPTED, Fate.LATER]
    assert len(server.accepted) == 1


@pytest.mark.parametrize("ehlo", [PLAIN, PIPELINING])
def test_s4_no_body_leaves_after_the_messages_deadline(ehlo: bytes) -> None:
    """As when this process, or the database it waited for, stood still."""
    letter = Letter("a@health.example", "b@example.com", MESSAGE)
    with faulty(ehlo) as server, conversation(server.port, seconds=0.3) as talk:
        steps = talk.handing_over([letter])
        assert next(steps) is None
        time.sleep(0.5)
        outcomes = [one for one in steps if one is not None]

    assert [one.fate for one in outcomes] == [Fate.LATER]
    assert server.accepted == []


def test_s4_only_an_enhanced_5_1_code_says_that_a_mailbox_is_gone() -> None:
    with faulty(rcpt=b"550 5.1.1 no such user\r\n") as server:
        outcome = deliver(server)

    assert (outcome.fate, outcome.no_such_mailbox) == (Fate.REFUSED, True)


@pytest.mark.parametrize("step", ["rcpt", "data", "dot"])
@pytest.mark.parametrize(
    ("reply", "fate", "is_gone"),
    [
        (b"530 log in first", Fate.SENDER_REFUSED, False),
        (b"530 5.7.0 Authentication required", Fate.SENDER_REFUSED, False),
        (b"535 5.7.8 Wrong password", Fate.SENDER_REFUSED, False),
        (b"538 Encryption needed", Fate.SENDER_REFUSED, False),
        (b"550 5.1.7 5.1.1 said in words", Fate.SENDER_REFUSED, False),
        (b"550 5.1.8 Sender address rejected", Fate.SENDER_REFUSED, False),
        (b"554 5.7.1 Relay access denied", Fate.REFUSED, False),
        (b"550 5.2.2 Full", Fate.REFUSED, False),
        (b"550 5.2.1 Disabled", Fate.REFUSED, True),
        (b"550 5.1.1 Unknown", Fate.REFUSED, True),
    ],
)
def test_s4_what_blames_the_sender_suppresses_nobody(
    reply: bytes, fate: Fate, is_gone: bool, step: str
) -> None:
    with faulty(**{step: reply + b"\r\n"}) as server:
        outcome = deliver(server)

    assert (outcome.fate, outcome.no_such_mailbox) == (fate, is_gone)


@pytest.mark.parametrize(
    ("step", "fate"), [("rcpt", Fate.LATER), ("dot", Fate.UNCERTAIN)]
)
def test_s4_a_server_that_drips_is_left_at_the_deadline(step: str, fate: Fate) -> None:
    with faulty(**{step: b"250 in a little while, octet by octet\r\n"}) as server:
        server.drip_seconds = 0.1
        began = time.monotonic()
        with conversation(server.port, seconds=0.5) as talk:
            outcome = talk.hand_over("a@health.example", "rosa@example.com", MESSAGE)

    assert outcome.fate is fate
    assert time.monotonic() - began < 2


class SlowReader(FaultyServer):
    """Looks at a body after a second, and at all of it then."""

    def _take_body(self, wire: socket.SocketIO) -> bool:
        time.sleep(1)
        body = bytearray()
        while not body.endswith(b"\r\n.\r\n"):
            octets = wire.read(1_000_000)
            if not octets:
                return False
            body += octets
        self.accepted.append(bytes(body[:-3]))
        self._say(wire, b"250 taken\r\n")
        return True


# More than the buffers on the way hold.
LARGE = b"Subject: x\r\n\r\n" + (b"x" * 998 + b"\r\n") * 20_000


@pytest.mark.parametrize(
    ("seconds", "fate"), [(10, Fate.ACCEPTED), (0.5, Fate.UNCERTAIN)]
)
def test_s4_a_server_that_reads_slowly_has_until_the_deadline(
    seconds: float, fate: Fate
) -> None:
    server, began = SlowReader({}), time.monotonic()
    with conversation(server.port, seconds=seconds) as talk:
        outcome = talk.hand_over("a@health.example", "rosa@example.com", LARGE)
    took = time.monotonic() - began
    server.close()

    assert outcome.fate is fate
    assert server.accepted == ([LARGE] if fate is Fate.ACCEPTED else [])
    assert took < seconds + 0.5


@pytest.mark.parametrize("reply", [b"250 tak", b"250-" + b"x" * 70_000, b"250-x\r\n"])
def test_s4_a_reply_without_an_end_is_none(reply: bytes) -> None:
    with faulty(dot=reply) as server:
        server.hangs_up = True
        outcome = deliver(server)

    assert (outcome.fate, outcome.reusable) == (Fate.UNCERTAIN, False)


def test_no_mail_leaves_when_promised_tls_is_missing() -> None:
    with faulty() as server, pytest.raises(Exception, match="STARTTLS"):  # noqa: SIM117
        with conversation(server.port, tls="starttls"):
            pytest.fail("the conversation went on in the clear")

    assert server.accepted == []


def test_an_unreachable_server_says_so_at_once() -> None:
    with socket.create_server(("127.0.0.1", 0)) as nobody:
        port = nobody.getsockname()[1]

    with pytest.raises(OSError), conversation(port):  # noqa: PT011 - any refusal will do
        pytest.fail("nobody listens there")


@pytest.mark.parametrize("ehlo", [PLAIN, PIPELINING])
def test_no_body_leaves_once_its_lease_has_ended(ehlo: bytes) -> None:
    with faulty(ehlo) as server, conversation(server.port) as talk:
        letters = [Letter("a@example.com", "b@example.com", MESSAGE)] * 2
        outcomes = list(talk.hand_over_all(letters, begin_before=time.monotonic()))

    assert [one.fate for one in outcomes] == [Fate.LATER, Fate.LATER]
    assert server.accepted == []
