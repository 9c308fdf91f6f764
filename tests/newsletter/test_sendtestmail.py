"""A postmaster sees each step of one test mail, and a sentence where it fails."""

import io
import socket
import ssl
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import trustme
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, AuthResult, LoginPassword
from django.core.management import CommandError, call_command
from pytest_django import Settings

from mail import Delivery, Recipient, recipient_for
from mail.guard import may_send
from mail.sending import send_due
from mail.sweeping import sweep
from newsletter.models import TipRevision
from tests.conftest import Mailbox
from tests.mail.test_smtp import faulty
from tests.newsletter.test_composing import approve_tip, article, tip

PASSWORD = "geheim-1234"
ROSA = "rosa@example.com"


def run(*args: str) -> tuple[str, str]:
    """What it printed, and the error's sentence if it ended with one."""
    out = io.StringIO()
    try:
        call_command("sendtestmail", *args, stdout=out, no_color=True)
    except CommandError as error:
        return out.getvalue(), str(error)
    return out.getvalue(), ""


def steps(printed: str) -> list[tuple[str, str]]:
    """Mark and name of each step."""
    lines = [line[2:] for line in printed.splitlines() if line.startswith("  ")]
    return [(line[:2], line[4:17].strip()) for line in lines]


def point_to(settings: Settings, port: int, **changes: Any) -> None:
    settings.MAIL_SERVER = {
        "host": "localhost",
        "port": port,
        "tls": "none",
        "username": "",
        "password": "",
        **changes,
    }


def test_one_mail_is_sent_and_each_step_is_told(db: None, mailbox: Mailbox) -> None:
    printed, error = run("Rosa@Example.com")

    assert error == ""
    assert [name for mark, name in steps(printed) if mark == "ok"] == [
        *("connection", "TLS", "EHLO", "MAIL FROM", "RCPT TO", "DATA", "message")
    ]
    assert "took the test mail to" in printed
    assert len(mailbox.taken) == 1


def test_it_is_a_row_so_that_a_bounce_is_noted(db: None, mailbox: Mailbox) -> None:
    run(ROSA)

    delivery = Delivery.objects.get()
    assert (delivery.kind, delivery.state) == ("staff", "accepted")
    (sent,) = mailbox.folder.glob("*.eml")
    assert delivery.key.hex.encode() in sent.read_bytes()


def test_a_test_is_never_tried_again_by_itself(db: None, mailbox: Mailbox) -> None:
    mailbox.rcpt_replies = {ROSA: "451 4.7.1 come back later"}

    printed, error = run(ROSA)
    sweep()
    send_due()

    assert steps(printed)[-1] == ("no", "RCPT TO")
    assert "451 4.7.1 come back later" in printed
    assert "It may be tried again later." in error
    assert Delivery.objects.get().state == Delivery.State.REFUSED
    assert mailbox.taken == []


def test_a_test_that_cant_be_made_is_over_at_once(
    db: None, mailbox: Mailbox, settings: Settings
) -> None:
    recipient_for(ROSA)
    settings.CONSENT_KEY = None

    printed, _ = run(ROSA)

    assert steps(printed)[-1] == ("no", "message")
    assert Delivery.objects.get().state == Delivery.State.REFUSED


def test_a_refused_sender_is_shown_and_suppresses_nobody(
    db: None, mailbox: Mailbox
) -> None:
    mailbox.mail_reply = "550 5.7.1 not you"

    printed, error = run(ROSA)

    assert steps(printed)[-1] == ("no", "MAIL FROM")
    assert "550 5.7.1 not you" in printed
    assert "MAIL FROM" in error
    assert Recipient.objects.get().suppressed_at is None


@pytest.mark.parametrize(
    "ehlo",
    [
        b"250-here\r\n250 8BITMIME\r\n",
        b"250-here\r\n250-PIPELINING\r\n250 8BITMIME\r\n",
    ],
)
@pytest.mark.parametrize(
    ("fault", "step", "sentence"),
    [
        ({"mail": b"550 not you\r\n"}, "MAIL FROM", "It is final."),
        ({"rcpt": b"rubbish\r\n"}, "RCPT TO", "That is no SMTP reply"),
        ({"dot": b"\r\n"}, "message", "it may have arrived"),
        ({"rcpt": b"550 5.1.1 nobody\r\n"}, "RCPT TO", "It is final."),
        ({"data": b"451 busy\r\n"}, "DATA", "tried again later"),
        ({"dot": b"554 spam\r\n"}, "message", "It is final."),
        ({"rcpt": None}, "message", "before it had the message"),
        ({"dot": None}, "message", "may have arrived all the same"),
    ],
)
def test_it_names_the_step_that_the_server_refused(
    db: None,
    settings: Settings,
    ehlo: bytes,
    fault: dict[str, bytes | None],
    step: str,
    sentence: str,
) -> None:
    with faulty(ehlo, **fault) as server:
        point_to(settings, server.port, host="127.0.0.1")
        printed, error = run(ROSA)

    assert steps(printed)[-1] == ("no", step)
    assert sentence in error
    assert len([one for one in steps(printed) if one[0] == "no"]) == 1


def test_a_server_that_is_missing_is_said(db: None, settings: Settings) -> None:
    point_to(settings, 1)

    printed, error = run(ROSA)

    assert steps(printed) == [("no", "connection")]
    assert "Nothing answers there" in error
    assert not Delivery.objects.exists()


def test_tls_that_is_promised_and_missing_is_said(
    db: None, settings: Settings, mailbox: Mailbox
) -> None:
    point_to(settings, settings.MAIL_SERVER["port"], tls="starttls")

    printed, error = run(ROSA)

    assert steps(printed) == [("no", "TLS")]
    assert "does not offer STARTTLS, and no mail leaves in the clear" in error
    assert mailbox.taken == []


def test_tls_from_the_first_byte_on_the_wrong_port_is_said(
    db: None, settings: Settings, mailbox: Mailbox
) -> None:
    point_to(settings, settings.MAIL_SERVER["port"], tls="tls")

    printed, error = run(ROSA)

    assert steps(printed) == [("no", "TLS")]
    assert "smtp+tls://" in error


# --- With a certificate ----------------------------------------------------------


@pytest.fixture
def authority(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> trustme.CA:
    """Known to this machine, the operator's way: SSL_CERT_FILE."""
    authority = trustme.CA(organization_name="Example Authority")
    authority.cert_pem.write_to_path(tmp_path / "authority.pem")
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "authority.pem"))
    return authority


class Lettering(Controller):
    """A server with STARTTLS where `rosa` may log in."""

    certificate: trustme.LeafCert

    def factory(self) -> SMTP:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.certificate.configure_cert(context)
        return SMTP(
            self.handler,
            tls_context=context,
            auth_required=True,
            authenticator=self._decide,
        )

    def _decide(self, *args: Any) -> AuthResult:
        given = args[-1]
        assert isinstance(given, LoginPassword)
        return AuthResult(success=given.password == PASSWORD.encode(), handled=False)


@pytest.fixture
def secure(settings: Settings, tmp_path: Path) -> Any:
    started: list[Lettering] = []

    def start(certificate: trustme.LeafCert, password: str = PASSWORD) -> Mailbox:
        box = Mailbox(tmp_path / "secure")
        with socket.create_server(("127.0.0.1", 0)) as free:
            port = free.getsockname()[1]
        server = Lettering(box, hostname="127.0.0.1", port=port)
        server.certificate = certificate
        server.start()
        started.append(server)
        account = {"username": "rosa", "password": password}
        point_to(settings, port, tls="starttls", **account)
        return box

    yield start
    for one in started:
        one.stop()


def test_version_certificate_and_login_are_told_and_no_password(
    db: None, authority: trustme.CA, secure: Any
) -> None:
    box = secure(authority.issue_cert("localhost"))

    printed, error = run(ROSA)

    assert error == ""
    assert "TLSv1." in printed
    assert "holds: for localhost, by Example Authority, until" in printed
    assert "accepted as rosa" in printed
    assert PASSWORD not in printed
    assert box.taken == [ROSA]


def test_a_refused_login_is_said_without_the_password(
    db: None, authority: trustme.CA, secure: Any
) -> None:
    box = secure(authority.issue_cert("localhost"), "wrong-geheim")

    printed, error = run(ROSA)

    assert ("ok", "certificate") in steps(printed)
    assert steps(printed)[-1] == ("no", "login")
    assert "535" in printed
    assert "User name or password" in error
    assert "geheim" not in printed + error
    assert box.taken == []


YESTERDAY = datetime.now(UTC) - timedelta(days=1)


@pytest.mark.parametrize(
    ("whose", "says"),
    [
        ({"identities": ["mail.example.org"]}, "localhost"),
        ({"identities": ["localhost"], "not_after": YESTERDAY}, "expired"),
        (None, "unable to get local issuer certificate"),
    ],
)
def test_a_certificate_that_does_not_hold_is_said(
    db: None,
    authority: trustme.CA,
    secure: Any,
    whose: dict[str, Any] | None,
    says: str,
) -> None:
    if whose is None:
        box = secure(trustme.CA().issue_cert("localhost"))
    else:
        box = secure(authority.issue_cert(*whose.pop("identities"), **whose))

    printed, error = run(ROSA)

    assert steps(printed) == [("no", "certificate")]
    assert says in printed
    assert "No mail leaves like this." in error
    assert box.taken == []


# --- A tip -----------------------------------------------------------------------


def test_a_tip_is_sent_as_subscribers_get_it(db: None, mailbox: Mailbox) -> None:
    article()
    approve_tip(tip())

    _, error = run(ROSA, "--tip", "rest")

    assert error == ""
    (sent,) = mailbox.folder.glob("*.eml")
    raw = sent.read_bytes()
    text = TipRevision.objects.get().content["text"]
    assert text.encode() in raw.replace(b"\r\n", b"\n")
    assert b"List-Unsubscribe-Post: List-Unsubscribe=One-Click" in raw


def test_not_even_a_test_is_sent_unsigned(db: None, mailbox: Mailbox) -> None:
    article()
    tip()

    unsigned = run(ROSA, "--tip", "rest")[1]
    unknown = run(ROSA, "--tip", "nothing")[1]

    assert "none is approved" in unsigned
    assert "There is no tip nothing" in unknown
    assert mailbox.taken == []


@pytest.mark.parametrize("typed", ["", "rosa@", "a@b\r\nDATA", "x" * 300])
def test_what_is_no_address_is_said(db: None, mailbox: Mailbox, typed: str) -> None:
    assert "no mail address" in run(typed)[1]
    assert mailbox.taken == []


def test_a_database_that_is_held_sends_not_even_a_test(
    db: None, mailbox: Mailbox, settings: Settings
) -> None:
    may_send()
    settings.SITE_URL = "https://copy.health.example"

    assert "No mail leaves here" in run(ROSA)[1]
    assert mailbox.taken == []
