"""One SMTP conversation that always knows how far it came.

`smtplib` raises the same exception whether the server took a message or not. Here
every end of a hand-over is an Outcome, and a body that may have been taken is never
called anything but uncertain (the fault table in docs/architecture.md).
"""

import math
import smtplib
import socket
import ssl
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from types import TracebackType
from typing import Any, NamedTuple, Self

from mail.reports import BLAMES_SENDER, Kind, kind_of, status_in
from mail.wire import Reply, Steps, TooSlow, Wire

GOODBYE_SECONDS = 5.0
NO_LOGIN = (530, 534, 535, 538)


class Fate(StrEnum):
    ACCEPTED = "accepted"
    LATER = "later"
    REFUSED = "refused"
    UNCERTAIN = "uncertain"
    # The server refuses the sender: nobody's address is at fault.
    SENDER_REFUSED = "sender refused"


@dataclass(frozen=True)
class Outcome:
    fate: Fate
    reply: str = ""
    reason: str = ""
    # The reply says that this mailbox does not exist (`reports.kind_of`).
    no_such_mailbox: bool = False
    # The connection is still good for the next message.
    reusable: bool = True


class Letter(NamedTuple):
    """One message on its way: a recipient each (RFC 5321 section 3.3)."""

    sender: str
    recipient: str
    message: bytes
    # False spares looking for dots to double (section 4.5.2): no line begins with one.
    may_have_dots: bool = True


@dataclass(frozen=True)
class Encryption:
    """How a connection is encrypted; `certificate` as `getpeercert` gives it."""

    version: str
    cipher: str
    certificate: dict[str, Any]


class _Server(smtplib.SMTP):
    """smtplib with a deadline over all reads and writes, for the greetings."""

    def __init__(self, host: str, port: int, *, timeout: float, **options: Any) -> None:
        self.start_clock(timeout)
        try:
            super().__init__(host, port, timeout=timeout, **options)
        except BaseException:
            # smtplib leaves the socket open when the greeting fails.
            self.close()
            raise

    def start_clock(self, seconds: float) -> None:
        self._deadline = time.monotonic() + seconds

    def remaining(self) -> float:
        left = self._deadline - time.monotonic()
        if left <= 0:
            raise TooSlow("the deadline passed")
        return left

    def send(self, s: Any) -> None:
        if self.sock:
            self.sock.settimeout(self.remaining())
        super().send(s)

    def getreply(self) -> tuple[int, bytes]:
        if self.sock and self.file is None:
            self.file = _Replies(self.sock, self.remaining)
        return super().getreply()

    def wire(self) -> Wire:
        """What goes on where the greetings ended."""
        if self.sock is None:
            raise smtplib.SMTPServerDisconnected("it hung up")
        unread = self.file.unread if isinstance(self.file, _Replies) else b""
        return Wire(self.sock, unread=unread)


class _Replies:
    """The server's lines. However it chops them, reading ends at the deadline.

    A file of the socket would grant the timeout anew for each octet.
    """

    def __init__(self, sock: socket.socket, remaining: Callable[[], float]) -> None:
        self._sock = sock
        self._remaining = remaining
        self.unread = b""

    def readline(self, limit: int) -> bytes:
        """The next line, or what there is of it at its `limit` or the end."""
        while b"\n" not in self.unread and len(self.unread) < limit:
            self._sock.settimeout(self._remaining())
            octets = self._sock.recv(4096)
            if not octets:
                break
            self.unread += octets
        end = self.unread.find(b"\n") + 1 or len(self.unread)
        line, self.unread = self.unread[: min(end, limit)], self.unread[end:]
        return line

    def close(self) -> None:
        """The socket is the server's."""


class _TlsServer(_Server, smtplib.SMTP_SSL):
    """TLS from the first byte."""


class Conversation:
    """A connection that hands over one message after another.

    Entering raises OSError or smtplib.SMTPException when the server can't be
    reached, greets with an error, or does not offer the TLS it was promised to.
    """

    def __init__(self, server: dict[str, Any], *, deadline_seconds: float) -> None:
        self._settings = server
        self._deadline_seconds = deadline_seconds
        self._may_not_quit = False
        # The newest replies, the last one last.
        self.replies: deque[Reply] = deque(maxlen=12)
        self.encryption: Encryption | None = None

    def __enter__(self) -> Self:
        self._server = self._connect()
        try:
            self._greet()
        except BaseException:
            self._server.close()
            raise
        self._wire = self._server.wire()
        self._is_pipelined = bool(self._server.has_extn("pipelining"))
        self._takes_size = bool(self._server.has_extn("size"))
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._may_not_quit:
            # QUIT might be taken for a line of the body.
            self._server.close()
            return
        try:
            self._server.start_clock(min(self._deadline_seconds, GOODBYE_SECONDS))
            self._server.quit()
        except (smtplib.SMTPException, OSError):
            # Every message's fate is known; a rude goodbye changes none.
            self._server.close()

    def close(self) -> None:
        """Without a goodbye: nobody waits for an answer to it."""
        self._server.close()

    def _connect(self) -> _Server:
        kind = _TlsServer if self._settings["tls"] == "tls" else _Server
        options: dict[str, Any] = {"timeout": self._deadline_seconds}
        if kind is _TlsServer:
            options["context"] = ssl.create_default_context()
        return kind(self._settings["host"], self._settings["port"], **options)

    def _greet(self) -> None:
        self._server.start_clock(self._deadline_seconds)
        self._server.ehlo_or_helo_if_needed()
        if self._settings["tls"] == "starttls":
            # Raises when the server does not offer it: no mail leaves in the clear.
            self._server.starttls(context=ssl.create_default_context())
            self._server.ehlo()
        self.encryption = _encryption(self._server.sock)
        if self._settings["username"]:
            self._server.login(self._settings["username"], self._settings["password"])

    @property
    def wire(self) -> Wire:
        """What `handing_over` waits for."""
        return self._wire

    @property
    def extensions(self) -> dict[str, str]:
        """What the server offers (RFC 5321 section 4.1.1.1), with its parameters."""
        return dict(self._server.esmtp_features)

    @property
    def takes_8bit(self) -> bool:
        return self._server.has_extn("8bitmime")

    def hand_over(self, sender: str, recipient: str, message: bytes) -> Outcome:
        """Give one message to the server; never raises for what the server does."""
        (outcome,) = self.hand_over_all([Letter(sender, recipient, message)])
        return outcome

    def hand_over_all(
        self, letters: Sequence[Letter], *, begin_before: float = math.inf
    ) -> Iterator[Outcome]:
        """As `handing_over`, and waits for the server by itself."""
        for outcome in self.handing_over(letters, begin_before=begin_before):
            if outcome is None:
                self._wire.wait()
            else:
                yield outcome

    def handing_over(
        self, letters: Sequence[Letter], *, begin_before: float = math.inf
    ) -> Iterator[Outcome | None]:
        """An Outcome for each letter, in order; never raises for what the server does.

        None between them: go on when `wire` is ready, or its deadline has passed.

        Where the server offers PIPELINING (RFC 2920) the next letter's envelope
        travels with the body before it: one round trip a message. A body never leaves
        before its own envelope was accepted. Once the connection has ended, letters
        not begun are `LATER`; so are those whose body would leave at `begin_before`
        (seconds of time.monotonic) or later, as from a process that was stopped.
        """
        self._begin_before = begin_before
        # Until every letter has its outcome, QUIT might be taken for a line of a body.
        self._may_not_quit = True
        is_announced = False
        for position, letter in enumerate(letters):
            following = letters[position + 1 : position + 2]
            ahead = following if self._is_pipelined else []
            outcome, is_announced = yield from self._one(letter, is_announced, ahead)
            if not following:
                self._may_not_quit = not outcome.reusable
            yield outcome
            if not outcome.reusable:
                rest = len(letters) - position - 1
                ended = Outcome(Fate.LATER, reason="connection ended", reusable=False)
                yield from [ended] * rest
                return

    def _one(
        self, letter: Letter, is_announced: bool, following: Sequence[Letter]
    ) -> Steps[tuple[Outcome, bool]]:
        """The letter's outcome, and whether the following envelope is on its way."""
        self._wire.start_clock(self._deadline_seconds)
        try:
            if not is_announced and not self._wire.is_quiet():
                raise smtplib.SMTPServerDisconnected("it spoke out of turn, or left")
            if not is_announced:
                refusal = yield from self._announce(letter)
            else:
                refusal = yield from self._envelope_replies()
        except (smtplib.SMTPException, OSError) as error:
            outcome = Outcome(Fate.LATER, reason=_name(error), reusable=False)
            return outcome, False
        if refusal:
            return refusal, False
        # As after a stop of this process, or of the database it waited for.
        if time.monotonic() >= min(self._begin_before, self._wire.deadline):
            return Outcome(Fate.LATER, reason="its time ended", reusable=False), False
        ahead = b"".join(self._envelope_lines(one) for one in following)
        outcome = yield from self._body(letter, ahead)
        return outcome, bool(following)

    def _announce(self, letter: Letter) -> Steps[Outcome | None]:
        """Send the envelope; None when the server waits for the body."""
        if self._is_pipelined:
            yield from self._wire.write(self._envelope_lines(letter))
            return (yield from self._envelope_replies())
        code, reply = yield from self._command(self._mail_line(letter))
        if not _succeeds(code):
            return (yield from self._reset(_sender_fate(code, reply), code, reply))
        code, reply = yield from self._command(f"RCPT TO:<{letter.recipient}>")
        if not _succeeds(code):
            return (yield from self._reset(_fate(code, reply), code, reply))
        code, reply = yield from self._command("DATA")
        if not _waits_for_a_body(code):
            return (yield from self._reset(_fate(code, reply), code, reply))
        return None

    def _command(self, line: str) -> Steps[Reply]:
        yield from self._wire.write(f"{line}\r\n".encode("ascii"))
        return (yield from self._reply())

    def _reply(self) -> Steps[Reply]:
        reply = yield from self._wire.reply()
        self.replies.append(reply)
        return reply

    def _envelope_lines(self, letter: Letter) -> bytes:
        """One group of commands; DATA is its last, as RFC 2920 section 3.1 wants."""
        lines = (self._mail_line(letter), f"RCPT TO:<{letter.recipient}>", "DATA", "")
        return "\r\n".join(lines).encode("ascii")

    def _mail_line(self, letter: Letter) -> str:
        options = " BODY=8BITMIME" if self.takes_8bit else ""
        if self._takes_size:
            options += f" SIZE={len(letter.message)}"
        return f"MAIL FROM:<{letter.sender}>{options}"

    def _envelope_replies(self) -> Steps[Outcome | None]:
        """The group's three replies; the first refusal is the letter's outcome."""
        first: tuple[Fate, int, bytes] | None = None
        try:
            for fate_of, is_good in (
                (_sender_fate, _succeeds),
                (_fate, _succeeds),
                (_fate, _waits_for_a_body),
            ):
                code, reply = yield from self._reply()
                if not is_good(code) and first is None:
                    first = (fate_of(code, reply), code, reply)
                if _ends(code):
                    break
            if first is None:
                return None
            if _waits_for_a_body(code):
                # It waits for a body that nobody is to get (RFC 2920 section 3.1).
                yield from self._wire.write(b".\r\n")
                yield from self._reply()
        except (smtplib.SMTPException, OSError):
            if first is None:
                raise
            # What it said before it left holds.
            return _outcome(*first, reusable=False)
        if _ends(code):
            return _outcome(*first, reusable=False)
        return (yield from self._reset(*first, needs_reset=not _waits_for_a_body(code)))

    def _body(self, letter: Letter, ahead: bytes) -> Steps[Outcome]:
        """The body, its final dot, and in the same write what may travel `ahead`."""
        try:
            quoted = letter.message
            if letter.may_have_dots:
                quoted = _quoted(quoted)
            ending = b".\r\n" if quoted.endswith(b"\r\n") else b"\r\n.\r\n"
            yield from self._wire.write(b"".join((quoted, ending, ahead)))
            code, reply = yield from self._reply()
        except (smtplib.SMTPException, OSError) as error:
            return Outcome(Fate.UNCERTAIN, reason=_name(error), reusable=False)
        if _succeeds(code):
            return Outcome(Fate.ACCEPTED, _text(code, reply))
        if not _refuses(code):
            # It had the whole body, and nobody knows what it means to do with it.
            said = _text(code, reply)
            return Outcome(Fate.UNCERTAIN, said, _reason(code), reusable=False)
        # The final dot ended the transaction whatever the answer: nothing to reset.
        fate = _fate(code, reply)
        return (yield from self._reset(fate, code, reply, needs_reset=False))

    def _reset(
        self, fate: Fate, code: int, reply: bytes, *, needs_reset: bool = True
    ) -> Steps[Outcome]:
        reusable = _refuses(code) and not _ends(code)
        if reusable and needs_reset:
            try:
                said, _ = yield from self._command("RSET")
                reusable = _succeeds(said)
            except (smtplib.SMTPException, OSError):
                reusable = False
        return _outcome(fate, code, reply, reusable=reusable)


def _outcome(fate: Fate, code: int, reply: bytes, *, reusable: bool) -> Outcome:
    gone = fate is Fate.REFUSED and _names_no_mailbox(reply)
    return Outcome(fate, _text(code, reply), _reason(code), gone, reusable)


def _encryption(sock: Any) -> Encryption | None:
    if not isinstance(sock, ssl.SSLSocket):
        return None
    cipher = sock.cipher()
    return Encryption(
        sock.version() or "", cipher[0] if cipher else "", sock.getpeercert() or {}
    )


def _quoted(message: bytes) -> bytes:
    """Dots at the start of a line are doubled (RFC 5321 section 4.5.2)."""
    quoted = message.replace(b"\r\n.", b"\r\n..")
    return b"." + quoted if quoted.startswith(b".") else quoted


def _succeeds(code: int) -> bool:
    """RFC 5321 section 4.2.1: the first digit decides."""
    return 200 <= code < 300


def _refuses(code: int) -> bool:
    """For now (4yz) or for good (5yz)."""
    return 400 <= code < 600


def _waits_for_a_body(code: int) -> bool:
    return code == 354


def _ends(code: int) -> bool:
    """The connection is closing, or its replies no longer fit the commands.

    smtplib says -1 for a line without a code.
    """
    return code == 421 or not 200 <= code < 600


def _sender_fate(code: int, reply: bytes) -> Fate:
    return Fate.SENDER_REFUSED if 500 <= code < 600 else Fate.LATER


def _fate(code: int, reply: bytes) -> Fate:
    """RFC 5321 section 4.2.1: 4yz may be tried again, 5yz may not."""
    if not 500 <= code < 600:
        return Fate.LATER
    return Fate.SENDER_REFUSED if _blames_sender(code, reply) else Fate.REFUSED


def _blames_sender(code: int, reply: bytes) -> bool:
    """Many servers say only after RCPT what they have against the sender.

    RFC 4954 section 6: 53z is about who logs in. The free text never decides.
    """
    status = _status(reply)
    about_login = code // 10 == 53 and status.startswith("5.7.")
    return code in NO_LOGIN or about_login or status in BLAMES_SENDER


def _names_no_mailbox(reply: bytes) -> bool:
    return kind_of("failed", _status(reply)) is Kind.HARD


def _status(reply: bytes) -> str:
    return status_in(reply.decode("ascii", "replace"))


def _text(code: int, reply: bytes) -> str:
    return f"{code} {reply.decode('ascii', 'replace')}"[:500].replace("\x00", "")


def _reason(code: int) -> str:
    return f"SMTP {code}" if 200 <= code < 600 else "a garbled reply"


def _name(error: Exception) -> str:
    return f"{type(error).__name__}: {error}"[:100]
