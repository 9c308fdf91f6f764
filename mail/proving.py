"""Does the mail set-up work? One test mail, told step by step to a postmaster.

No step says a password, and what the server says is shown as it came.
"""

import smtplib
import socket
import ssl
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

from django.conf import settings
from django.utils import timezone

from mail.building import TipMail, build_single, build_tip
from mail.claiming import Claim, lease
from mail.letters import letter_for
from mail.models import Delivery
from mail.recipients import mailbox_of
from mail.rendering import render
from mail.smtp import Conversation, Encryption, Fate, Outcome

COMMANDS = ("MAIL FROM", "RCPT TO", "DATA", "message")


@dataclass(frozen=True)
class Step:
    """`remedy` is for a person and stands beside a step that went wrong."""

    name: str
    said: str
    good: bool = True
    remedy: str = ""


def send_test(address: str, tip: TipMail | None = None) -> Iterator[Step]:
    """Send `tip`, or a mail that says it is a test, to `address` (canonical).

    Ends with the first step that went wrong.
    """
    talk = Conversation(
        settings.MAIL_SERVER, deadline_seconds=settings.MAIL_DEADLINE_SECONDS
    )
    trouble = _open(talk)
    if trouble is None or trouble.name == "login":
        yield from _greeted(talk)
    if trouble:
        yield trouble
        return
    with ExitStack() as stack:
        stack.push(talk)
        if username := settings.MAIL_SERVER["username"]:
            yield Step("login", f"accepted as {username}")
        yield from _hand_over(talk, address, tip)


def _open(talk: Conversation) -> Step | None:
    """What went wrong while connecting, if anything."""
    try:
        talk.__enter__()
    except smtplib.SMTPAuthenticationError as error:
        said = _text(error.smtp_code, error.smtp_error)
        return Step("login", said, False, "User name or password in EMAIL_URL.")
    except ssl.SSLCertVerificationError as error:
        return Step("certificate", error.verify_message, False, CERTIFICATE)
    except ssl.SSLError as error:
        return Step("TLS", error.reason or str(error), False, NO_TLS)
    except smtplib.SMTPNotSupportedError as error:
        return _missing(talk, error)
    except smtplib.SMTPConnectError as error:
        said = _text(error.smtp_code, error.smtp_error)
        return Step("greeting", said, False, "The server turns this machine away.")
    except smtplib.SMTPException as error:
        if talk.encryption:
            return Step("login", str(error), False, "The server broke off there.")
        return Step("greeting", str(error), False, HUNG_UP)
    except socket.gaierror as error:
        said = error.strerror or str(error)
        return Step("connection", said, False, "No host has this name.")
    except OSError as error:
        said = error.strerror or str(error)
        return Step("connection", said, False, NO_ANSWER)
    return None


CERTIFICATE = (
    "The server's certificate is not for the name in EMAIL_URL, has run out, or is by "
    "an authority this machine does not know (SSL_CERT_FILE). No mail leaves like this."
)
NO_TLS = (
    "smtp+ssl:// speaks TLS from the first byte, mostly on port 465. For STARTTLS, "
    "mostly on port 587, write smtp+tls://."
)
HUNG_UP = (
    "Something answers there, but not as an SMTP server should. If the port speaks TLS "
    "from the first byte, write smtp+ssl://."
)
BROKE_OFF = {
    Fate.UNCERTAIN: "The message had left: it may have arrived all the same.",
    Fate.LATER: "The server broke off before it had the message.",
}
GARBLED = "That is no SMTP reply, so the test ends. Does something stand in between?"
GARBLED_MESSAGE = f"That is no SMTP reply. {BROKE_OFF[Fate.UNCERTAIN]}"
NO_ANSWER = "Nothing answers there. Is the port right, and does no firewall close it?"


def _missing(talk: Conversation, error: Exception) -> Step:
    """The server does not offer what EMAIL_URL promises."""
    if settings.MAIL_SERVER["tls"] == "starttls" and talk.encryption is None:
        remedy = "It does not offer STARTTLS, and no mail leaves in the clear."
        return Step("TLS", "STARTTLS is not offered", False, remedy)
    remedy = "It lets nobody log in here. Perhaps another port does."
    return Step("login", str(error), False, remedy)


def _greeted(talk: Conversation) -> Iterator[Step]:
    server = settings.MAIL_SERVER
    yield Step("connection", f"{server['host']} port {server['port']} answers")
    if talk.encryption:
        yield from _encrypted(talk.encryption)
    else:
        yield Step("TLS", "none: this connection is in the clear")
    offered = [f"{name} {value}".strip() for name, value in talk.extensions.items()]
    yield Step("EHLO", ", ".join(sorted(offered)).upper() or "no extensions")


def _encrypted(encryption: Encryption) -> Iterator[Step]:
    yield Step("TLS", f"{encryption.version}, {encryption.cipher}")
    certificate = encryption.certificate
    names = [value for kind, value in certificate.get("subjectAltName", ())]
    yield Step(
        "certificate",
        f"holds: for {', '.join(names) or _named(certificate.get('subject', ()))}, "
        f"by {_named(certificate.get('issuer', ()))}, "
        f"until {certificate.get('notAfter', 'an unknown day')}",
    )


def _named(name: Any) -> str:
    """A certificate's subject or issuer: its most telling part."""
    parts = {key: value for ((key, value),) in name}
    return str(parts.get("organizationName") or parts.get("commonName") or "nobody")


def _hand_over(talk: Conversation, address: str, tip: TipMail | None) -> Iterator[Step]:
    claim = _row(address, tip)
    letter = letter_for(claim, takes_8bit=talk.takes_8bit)
    if letter is None:
        _settle(claim, Outcome(Fate.REFUSED, reason="it can't be made"))
        yield Step("message", "it can't be made", False, "The log says why.")
        return
    talk.replies.clear()
    outcome = talk.hand_over(letter.sender, letter.recipient, letter.message)
    _settle(claim, outcome)
    steps = list(_spoken(list(talk.replies)))
    yield from steps
    if outcome.fate is not Fate.ACCEPTED and all(step.good for step in steps):
        yield Step("message", outcome.reason, False, BROKE_OFF[outcome.fate])


def _spoken(replies: list[tuple[int, bytes]]) -> Iterator[Step]:
    """Each command's reply up to the first refusal."""
    for name, (code, reply) in zip(COMMANDS, replies, strict=False):
        good = 200 <= code < 400
        yield Step(name, _text(code, reply), good, "" if good else _again(name, code))
        if not good:
            return


def _again(command: str, code: int) -> str:
    if 400 <= code < 600:
        return "It may be tried again later." if code < 500 else "It is final."
    return GARBLED_MESSAGE if command == "message" else GARBLED


def _row(address: str, tip: TipMail | None) -> Claim:
    """The test mail as a delivery, so that what comes back of it is noted."""
    recipient = mailbox_of(address)
    now = timezone.now()
    row = Delivery.objects.create(
        recipient=recipient,
        kind=Delivery.Kind.STAFF,
        idempotency_key=f"test-{uuid4()}",
        message=build_tip(tip) if tip else _own_words(),
        state=Delivery.State.HANDING_OVER,
        leased_until=now + lease(),
        attempts=1,
        dated_at=now,
        due_at=now,
    )
    return Claim(
        id=row.pk,
        key=row.key,
        recipient_id=recipient.pk,
        batch_id=None,
        dated_at=now,
        message=bytes(row.message or b""),
        address=address,
        recipient_key=recipient.key,
    )


def _own_words() -> bytes:
    mail = render("test", {})
    return build_single(mail.subject, mail.html, mail.text)


def _settle(claim: Claim, outcome: Outcome) -> None:
    """A test is never tried again by itself: what is not accepted is refused."""
    fates = {
        Fate.ACCEPTED: Delivery.State.ACCEPTED,
        Fate.UNCERTAIN: Delivery.State.UNCERTAIN,
    }
    fate = fates.get(outcome.fate, Delivery.State.REFUSED)
    Delivery.objects.filter(pk=claim.id, state=Delivery.State.HANDING_OVER).update(
        state=fate,
        smtp_reply=outcome.reply,
        reason=f"a test: {outcome.reason or outcome.fate}"[:100],
        leased_until=None,
        finished_at=timezone.now(),
        message=claim.message if fate is Delivery.State.UNCERTAIN else None,
    )


def _text(code: int, reply: bytes | str) -> str:
    text = reply.decode("utf-8", "replace") if isinstance(reply, bytes) else reply
    # A reply of several lines stays on one, and a stranger's bytes move no cursor.
    printable = "".join(one if one.isprintable() else " " for one in text)
    said = f"{code} {printable}" if code > 0 else printable
    return " ".join(said.split()) or "an empty line"
