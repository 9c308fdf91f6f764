"""R10: mail leaves over TLS with a certificate that holds, or it does not leave.

RFC 8314 section 3, RFC 3207. The servers are real, on loopback; their certificates
are made here.
"""

import smtplib
import socket
import ssl
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import trustme
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP
from pytest_django import Settings

from mail import Delivery
from mail.sending import send_due
from mail.smtp import Conversation, Fate
from tests.mail.test_sending import person, states, tip_for_everybody
from tests.mail.test_smtp import MESSAGE, FaultyServer

State = Delivery.State
OFFERING = b"250-here\r\n250-STARTTLS\r\n250 8BITMIME\r\n"
PLAIN = b"250-here\r\n250 8BITMIME\r\n"
YESTERDAY = datetime.now(UTC) - timedelta(days=1)


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture(autouse=True)
def trusted(
    authority: trustme.CA, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The operator's way to add an authority: SSL_CERT_FILE."""
    authority.cert_pem.write_to_path(tmp_path / "authority.pem")
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "authority.pem"))


def serving(certificate: trustme.LeafCert) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    certificate.configure_cert(context)
    return context


def self_signed(tmp_path: Path) -> ssl.SSLContext:
    """A server that shows a certificate nobody but itself vouches for."""
    stranger = trustme.CA()
    (tmp_path / "own.pem").write_bytes(
        stranger.private_key_pem.bytes() + stranger.cert_pem.bytes()
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "own.pem")
    return context


class Taking:
    """Takes every mail that comes over TLS."""

    def __init__(self) -> None:
        self.taken: list[bytes] = []

    async def handle_DATA(self, server: SMTP, session: Any, envelope: Any) -> str:
        self.taken.append(envelope.content)
        return "250 taken"


class Starting(Controller):
    """Offers STARTTLS and takes nothing before it."""

    def __init__(self, handler: Taking, context: ssl.SSLContext, port: int) -> None:
        self._context = context
        super().__init__(handler, hostname="127.0.0.1", port=port)

    def factory(self) -> SMTP:
        return SMTP(self.handler, tls_context=self._context, require_starttls=True)


class Secured(FaultyServer):
    """TLS from the first byte."""

    def __init__(self, context: ssl.SSLContext) -> None:
        self._context = context
        super().__init__({})

    def _serve(self) -> None:
        plain, _ = self._listener.accept()
        plain.settimeout(10)
        with plain, suppress(ssl.SSLError):
            secured = self._context.wrap_socket(plain, server_side=True)
            with secured, secured.makefile("rwb", buffering=0) as wire:
                wire.write(b"220 secured\r\n")
                while (line := wire.readline()) and self._answer(wire, line):
                    pass


@contextmanager
def server(context: ssl.SSLContext, tls: str) -> Iterator[tuple[list[bytes], int]]:
    """A server that keeps its promise; what it took, and its port."""
    if tls == "tls":
        secured = Secured(context)
        yield secured.accepted, secured.port
        secured.close()
        return
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    starting = Starting(Taking(), context, port)
    starting.start()
    yield starting.handler.taken, port
    starting.stop()


def promised(port: int, tls: str) -> dict[str, Any]:
    return {
        "host": "localhost",
        "port": port,
        "username": "",
        "password": "",
        "tls": tls,
    }


@pytest.mark.parametrize("tls", ["starttls", "tls"])
def test_r10_a_certificate_that_holds_lets_mail_leave(
    db: None, settings: Settings, authority: trustme.CA, tls: str
) -> None:
    person("rosa")
    tip_for_everybody()
    with server(serving(authority.issue_cert("localhost")), tls) as (taken, port):
        settings.MAIL_SERVER = promised(port, tls)
        send_due()

    assert states() == {"rosa": State.ACCEPTED}
    assert len(taken) == 1


@pytest.mark.parametrize("tls", ["starttls", "tls"])
@pytest.mark.parametrize(
    ("fault", "said"),
    [
        ("self-signed", "self-signed certificate"),
        ("stranger", "unable to get local issuer certificate"),
        ("wrong host", "not valid for 'localhost'"),
        ("expired", "certificate has expired"),
        ("TLS 1.1", "SSL"),
    ],
)
def test_r10_nothing_leaves_under_a_certificate_that_does_not_hold(
    authority: trustme.CA, tmp_path: Path, tls: str, fault: str, said: str
) -> None:
    issue = authority.issue_cert
    contexts = {
        "self-signed": lambda: self_signed(tmp_path),
        "stranger": lambda: serving(trustme.CA().issue_cert("localhost")),
        "wrong host": lambda: serving(issue("other.example")),
        "expired": lambda: serving(issue("localhost", not_after=YESTERDAY)),
        "TLS 1.1": lambda: outdated(authority),
    }

    with server(contexts[fault](), tls) as (taken, port):
        why = refusal(port, tls)

    assert said in why
    assert taken == []


def test_r10_what_could_not_leave_stays_queued_and_the_log_says_why(
    db: None, settings: Settings, caplog: pytest.LogCaptureFixture
) -> None:
    person("rosa")
    tip_for_everybody()
    with server(serving(trustme.CA().issue_cert("localhost")), "tls") as (taken, port):
        settings.MAIL_SERVER = promised(port, "tls")
        send_due()

    (event,) = [one.msg for one in caplog.records if isinstance(one.msg, dict)]
    assert event["event"] == "mail server unreachable"
    assert "SSLCertVerificationError" in event["error"]
    assert taken == []
    assert states() == {"rosa": State.QUEUED}


def outdated(authority: trustme.CA) -> ssl.SSLContext:
    """A server that speaks nothing newer than TLS 1.1 (RFC 8996 ends that)."""
    context = serving(authority.issue_cert("localhost"))
    context.set_ciphers("DEFAULT:@SECLEVEL=0")
    with pytest.warns(DeprecationWarning, match="TLSv1_1"):
        context.minimum_version = ssl.TLSVersion.TLSv1_1
    with pytest.warns(DeprecationWarning, match="TLSv1_1"):
        context.maximum_version = ssl.TLSVersion.TLSv1_1
    return context


def refusal(port: int, tls: str) -> str:
    """Why the conversation did not come about."""
    with (
        pytest.raises((OSError, smtplib.SMTPException)) as raised,
        Conversation(promised(port, tls), deadline_seconds=5),
    ):
        pytest.fail("the conversation came about")
    return f"{raised.type.__name__}: {raised.value}"


class Listener(FaultyServer):
    """A server that speaks in the clear, and the commands it was told."""

    def __init__(self, faults: dict[str, bytes | None], ehlo: bytes) -> None:
        self.told: set[bytes] = set()
        super().__init__(faults, ehlo)

    def _serve(self) -> None:
        # A client that wants TLS leaves in the middle of a greeting.
        with suppress(ConnectionError):
            super()._serve()

    def _answer(self, wire: socket.SocketIO, line: bytes) -> bool:
        # A client that was told to go on greets with TLS: no command.
        if line[:1] == b"\x16":
            wire.write(b"500 what?\r\n")
            while wire.read(4096):
                pass
            return False
        self.told.add(line.split(b" ")[0].strip().lower())
        return super()._answer(wire, line)


@pytest.mark.parametrize(
    ("tls", "ehlo", "reply", "said"),
    [
        ("starttls", PLAIN, b"", "STARTTLS extension not supported"),
        ("starttls", OFFERING, b"454 TLS not available\r\n", "454"),
        ("starttls", OFFERING, b"250 what?\r\n", "250"),
        ("starttls", OFFERING, None, "closed"),
        ("starttls", OFFERING, b"220 go\r\n", "SSL"),
        ("tls", PLAIN, b"", "SSL"),
    ],
    ids=["missing", "failing", "nonsense", "hung up", "stripped", "plain banner"],
)
def test_r10_nothing_leaves_when_the_promised_tls_does_not_come(
    tls: str, ehlo: bytes, reply: bytes | None, said: str
) -> None:
    plain = Listener({"star": reply}, ehlo)

    why = refusal(plain.port, tls)
    plain.close()

    assert said in why
    assert plain.told <= {b"ehlo", b"starttls"}


class Injecting(FaultyServer):
    """Somebody in between adds replies to the last one that is not encrypted."""

    def __init__(self, context: ssl.SSLContext) -> None:
        self._context = context
        super().__init__({}, PLAIN)

    def _serve(self) -> None:
        plain, _ = self._listener.accept()
        plain.settimeout(10)
        with plain:
            with plain.makefile("rwb", buffering=0) as wire:
                wire.write(b"220 in between\r\n")
                wire.readline()
                wire.write(OFFERING)
                wire.readline()
                wire.write(b"220 go\r\n250-X-INJECTED\r\n250 SIZE 1\r\n")
            with (
                self._context.wrap_socket(plain, server_side=True) as secured,
                secured.makefile("rwb", buffering=0) as wire,
            ):
                while (line := wire.readline()) and self._answer(wire, line):
                    pass


def test_r10_replies_from_before_the_handshake_are_not_believed(
    authority: trustme.CA,
) -> None:
    """The kind of CVE-2021-38371: every answer would be taken for the next one's."""
    between = Injecting(serving(authority.issue_cert("localhost")))
    settings = promised(between.port, "starttls")
    with Conversation(settings, deadline_seconds=5) as talk:
        extensions = talk._server.esmtp_features
        outcome = talk.hand_over("bounces@health.example", "rosa@example.com", MESSAGE)
    between.close()

    assert extensions == {"8bitmime": ""}
    assert (outcome.fate, outcome.reply) == (Fate.ACCEPTED, "250 taken")
    assert between.accepted == [MESSAGE + b"\r\n"]
