"""Fetching bounces from a mailbox: a small IMAP server over real TLS on loopback."""

import io
import re
import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
import trustme
from django.core.management import CommandError, call_command
from django.db import OperationalError
from pytest_django import Settings

from mail import Delivery, polling
from mail.polling import MailboxAway, poll
from mail.tasks import poll_bounces
from tests.mail.test_bounces import about, noted, sent
from tests.mail.test_reports import returned
from tests.mail.test_sending import person
from twitchsite.env import imap

Flags = dict[int, set[str]]


class ImapServer:
    """Enough of RFC 3501 for one client after another; keeps what it was asked."""

    def __init__(self, context: ssl.SSLContext) -> None:
        self.messages: dict[int, bytes] = {}
        self.flags: Flags = {}
        self.asked: list[str] = []
        self._context = context
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def add(self, raw: bytes) -> int:
        uid = len(self.flags) + 1
        self.messages[uid], self.flags[uid] = raw, set()
        return uid

    def close(self) -> None:
        # Closing alone does not wake a thread that accepts.
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join(timeout=10)

    def _serve(self) -> None:
        while True:
            try:
                plain, _ = self._listener.accept()
            except OSError:
                return
            plain.settimeout(10)
            with (
                plain,
                suppress(OSError),
                self._context.wrap_socket(plain, server_side=True) as wire,
            ):
                self._talk(wire)

    def _talk(self, wire: ssl.SSLSocket) -> None:
        with wire.makefile("rwb") as stream:
            stream.write(b"* OK ready\r\n")
            stream.flush()
            while line := stream.readline():
                tag, _, command = line.decode().strip().partition(" ")
                self.asked.append(command)
                verdict = self._answer(stream, command)
                stream.write(f"{tag} {verdict}\r\n".encode())
                stream.flush()

    def _answer(self, stream: io.BufferedRWPair, command: str) -> str:
        words = command.split(" ")
        verb = words[1] if words[0] == "UID" else words[0]
        if verb == "CAPABILITY":
            stream.write(b"* CAPABILITY IMAP4rev1\r\n")
        elif verb == "LOGIN" and words[1:] != ["rosa", '"secret"']:
            return "NO wrong password"
        elif verb == "SEARCH":
            found = [str(uid) for uid in self.messages if not self.flags[uid]]
            stream.write(f"* SEARCH {' '.join(found)}\r\n".encode())
        elif verb == "FETCH":
            self._fetch(stream, int(words[2]), int(re.findall(r"\.(\d+)>", command)[0]))
        elif verb == "STORE":
            self.flags[int(words[2])] |= set(re.findall(r"\\\w+", command))
        elif verb == "CLOSE":
            for uid in [one for one in self.messages if r"\Deleted" in self.flags[one]]:
                del self.messages[uid]
        return "OK done"

    def _fetch(self, stream: io.BufferedRWPair, uid: int, size: int) -> None:
        raw = self.messages[uid][:size]
        stream.write(f"* {uid} FETCH (UID {uid} BODY[]<0> {{{len(raw)}}}\r\n".encode())
        stream.write(raw + b")\r\n")


@pytest.fixture
def server(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[ImapServer]:
    """A mailbox on localhost, of an authority that this test's machine trusts."""
    authority = trustme.CA()
    authority.cert_pem.write_to_path(tmp_path / "authority.pem")
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "authority.pem"))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost").configure_cert(context)
    running = ImapServer(context)
    settings.BOUNCE_MAILBOX = imap(f"imaps://rosa:secret@localhost:{running.port}")
    yield running
    running.close()


def test_what_came_back_is_taken_and_deleted(
    db: None, server: ImapServer, settings: Settings
) -> None:
    delivery = sent(person("rosa"))
    server.add(about(delivery, "postfix-unknown-user"))
    server.add(returned("outlook-out-of-office"))

    assert poll(settings.BOUNCE_MAILBOX) == 2
    assert poll(settings.BOUNCE_MAILBOX) == 0

    assert noted(delivery)[1] == Delivery.Bounce.HARD
    assert server.messages == {}


def test_what_a_person_must_read_stays_and_is_not_taken_again(
    db: None, server: ImapServer, settings: Settings
) -> None:
    uid = server.add(returned("reply-by-a-person"))

    assert poll(settings.BOUNCE_MAILBOX) == 1
    assert poll(settings.BOUNCE_MAILBOX) == 0

    assert (list(server.messages), server.flags[uid]) == ([uid], {r"\Seen"})


def test_the_mailbox_hears_of_it_only_after_the_commit(
    db: None,
    server: ImapServer,
    settings: Settings,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    uid = server.add(returned("postfix-unknown-user"))

    def away(raw: bytes) -> None:
        raise OperationalError

    monkeypatch.setattr(polling, "take", away)
    with pytest.raises(OperationalError):
        poll(settings.BOUNCE_MAILBOX)

    assert (list(server.messages), server.flags[uid]) == ([uid], set())


def test_a_huge_message_is_fetched_in_part(
    db: None, server: ImapServer, settings: Settings
) -> None:
    delivery = sent(person("rosa"))
    server.add(about(delivery, "postfix-unknown-user") + b"x" * 3_000_000)

    poll(settings.BOUNCE_MAILBOX)

    assert noted(delivery)[1] == Delivery.Bounce.HARD
    assert any("BODY.PEEK[]<0.1048576>" in command for command in server.asked)


def test_a_certificate_that_nobody_vouches_for_is_refused(
    server: ImapServer, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("SSL_CERT_FILE")

    with pytest.raises(MailboxAway, match="SSLCertVerificationError"):
        poll(settings.BOUNCE_MAILBOX)

    assert server.asked == []


def test_a_certificate_for_another_name_is_refused(
    server: ImapServer, settings: Settings
) -> None:
    with pytest.raises(MailboxAway, match="SSLCertVerificationError"):
        poll({**settings.BOUNCE_MAILBOX, "host": "127.0.0.1"})

    assert server.asked == []


def test_a_wrong_password_says_so(server: ImapServer, settings: Settings) -> None:
    with pytest.raises(MailboxAway, match="error"):
        poll({**settings.BOUNCE_MAILBOX, "password": "wrong"})


def test_the_tick_does_without_a_mailbox_and_waits_for_one_that_is_away(
    db: None,
    settings: Settings,
) -> None:
    settings.BOUNCE_MAILBOX = None
    poll_bounces()

    settings.BOUNCE_MAILBOX = imap("imaps://rosa:secret@localhost:1/INBOX")
    poll_bounces()


def test_the_command_polls_or_says_what_is_missing(
    db: None, server: ImapServer, settings: Settings
) -> None:
    server.add(returned("gmail-vacation"))
    said = io.StringIO()

    call_command("pollbounces", stdout=said)
    settings.BOUNCE_MAILBOX = None
    with pytest.raises(CommandError, match="BOUNCE_IMAP_URL is not set"):
        call_command("pollbounces")

    assert said.getvalue() == "took 1 mails\n"


def test_a_mailboxs_address_promises_tls() -> None:
    assert imap("imaps://a%40b.example:p%3Aw@mail.example/Bounces%20in") == {
        "host": "mail.example",
        "port": 993,
        "username": "a@b.example",
        "password": "p:w",
        "folder": "Bounces in",
    }


@pytest.mark.parametrize(
    "url",
    [
        "imap://rosa:secret@mail.example/INBOX",
        "imaps://mail.example/INBOX",
        "imaps://rosa:secret@/INBOX",
        "imaps://rosa:p%C3%A4ss@mail.example",
        "imaps://rosa:secret@mail.example/a%22b",
        "imaps://rosa:secret@mail.example/a%0D%0Ab",
    ],
)
def test_a_senseless_mailbox_is_refused(url: str) -> None:
    with pytest.raises(ValueError, match="it is no imaps|IMAP can't carry"):
        imap(url)
