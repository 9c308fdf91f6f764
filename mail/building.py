"""Messages as bytes: built once, filled per person by replacing bytes.

A built message holds the placeholders below and nothing else that is personal. Its
HTML is ASCII (numeric character references), its text part UTF-8; no line is longer
than 998 octets (RFC 5321 section 4.5.3.1.6), so both travel as 8bit, untouched.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from email.header import Header
from email.utils import format_datetime, formataddr, parseaddr
from functools import lru_cache
from hashlib import sha256
from urllib.parse import urlsplit
from uuid import UUID

import css_inline
from django.conf import settings

from mail.links import TOKEN_LENGTH, token
from mail.providers import PROVIDERS

TO = b"@@TO@@"
DATE = b"@@DATE@@"
MESSAGE_KEY = b"@@MESSAGE-KEY@@"
UNSUBSCRIBE = "@@UNSUBSCRIBE-TOKEN@@"
PLACEHOLDERS = re.compile(
    b"(" + b"|".join([TO, DATE, MESSAGE_KEY, UNSUBSCRIBE.encode()]) + b")"
)

# What is filled in is no longer than this (an address: RFC 5321 section 4.5.3.1.3).
FILLED_OCTETS = {
    TO: 254,
    DATE: 31,
    MESSAGE_KEY: 32,
    UNSUBSCRIBE.encode(): TOKEN_LENGTH,
}
WORDS = re.compile(r"[ \t]+|[^ \t]+")
CHARACTERS = re.compile(PLACEHOLDERS.pattern.decode() + "|.", re.DOTALL)

# Octets of one line; RFC 5321 allows 998 and the reader's eye about 78.
LONGEST_LINE = 990
CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")


class BadHeader(ValueError):
    """A title or name that would break out of its header line."""


@dataclass(frozen=True)
class TipMail:
    """A tip's two parts, with `UNSUBSCRIBE` where the person's token belongs."""

    subject: str
    html: str
    text: str


def build_tip(mail: TipMail) -> bytes:
    """A tip for everybody: RFC 8058 one-click and RFC 2919 list headers included."""
    one_click = f"{settings.SITE_URL}/newsletter/unsubscribe/{UNSUBSCRIBE}/"
    return _message(
        mail.subject,
        mail.html,
        mail.text,
        [
            ("List-Id", f"twitchsite health tips <{settings.LIST_ID}>"),
            ("List-Unsubscribe", f"<{one_click}>"),
            ("List-Unsubscribe-Post", "List-Unsubscribe=One-Click"),
            ("List-Help", f"<{settings.SITE_URL}/newsletter/>"),
        ],
    )


def build_single(subject: str, html: str, text: str) -> bytes:
    """A message to one person; its links are in it already."""
    return _message(subject, html, text, [])


class Built:
    """A built message, cut at its placeholders once; `fill` only joins."""

    def __init__(self, message: bytes) -> None:
        self._parts = PLACEHOLDERS.split(message)
        # What is filled in has no line breaks, and none of it begins with a dot.
        self.may_have_dots = message.startswith(b".") or b"\r\n." in message

    def fill(
        self, *, to: str, key: UUID, recipient_key: UUID, dated_at: datetime
    ) -> bytes:
        """The message as `to` gets it: the same bytes at every try."""
        values = {
            TO: to.encode("ascii"),
            DATE: _date(dated_at),
            MESSAGE_KEY: key.hex.encode("ascii"),
            UNSUBSCRIBE.encode(): token("unsubscribe", recipient_key).encode("ascii"),
        }
        return b"".join([values.get(part, part) for part in self._parts])


@lru_cache(maxsize=64)
def _date(at: datetime) -> bytes:
    return format_datetime(at).encode("ascii")


def envelope_sender(key: UUID) -> str:
    """Each delivery's own return address (VERP); its key is 122 random bits."""
    return f"bounces+{key.hex}@{_sender_domain()}"


def _sender_domain() -> str:
    return _domain_of(settings.MAIL_FROM)


@lru_cache(maxsize=4)
def _domain_of(sender: str) -> str:
    return parseaddr(sender)[1].rpartition("@")[2]


def _message(subject: str, html: str, text: str, extra: list[tuple[str, str]]) -> bytes:
    boundary = "=_" + sha256((subject + html + text).encode()).hexdigest()[:32]
    name, address = parseaddr(settings.MAIL_FROM)
    headers = [
        ("From", formataddr((checked_header(name), address))),
        ("To", f"<{TO.decode()}>"),
        ("Reply-To", settings.CONTACT_EMAIL),
        ("Subject", _encoded(subject)),
        ("Date", DATE.decode()),
        (
            "Message-ID",
            f"<{MESSAGE_KEY.decode()}@{urlsplit(settings.SITE_URL).hostname}>",
        ),
        *extra,
        *_tracked(),
        ("Auto-Submitted", "auto-generated"),
        ("MIME-Version", "1.0"),
        ("Content-Type", f'multipart/alternative; boundary="{boundary}"'),
    ]
    lines = [
        *(f"{name}: {value}" for name, value in headers),
        "",
        f"--{boundary}",
        "Content-Type: text/plain; charset=utf-8",
        "Content-Transfer-Encoding: 8bit",
        "",
        *_text_lines(text),
        f"--{boundary}",
        "Content-Type: text/html; charset=us-ascii",
        "Content-Transfer-Encoding: 7bit",
        "",
        *_html_lines(html),
        f"--{boundary}--",
        "",
    ]
    return "\r\n".join(lines).encode("utf-8")


def _tracked() -> list[tuple[str, str]]:
    """The key as providers give it back, many of which replace the Message-ID."""
    headers = [PROVIDERS[name].header for name in settings.WEBHOOKS]
    filled = [one.format(MESSAGE_KEY.decode()) for one in headers if one]
    return [(name, value) for name, _, value in (one.partition(": ") for one in filled)]


def checked_header(text: str) -> str:
    """`text`, or BadHeader when it holds a control or a line separator."""
    if CONTROL.search(text):
        raise BadHeader(f"{text!r} has a character that no mail header can carry.")
    return text


def _encoded(subject: str) -> str:
    if not subject.strip():
        raise BadHeader("A subject is missing.")
    header = Header(
        checked_header(subject), "us-ascii" if subject.isascii() else "utf-8"
    )
    return header.encode(linesep="\r\n")


def _text_lines(text: str) -> list[str]:
    return [
        part for line in text.strip().splitlines() for part in (_short(line) or [""])
    ]


def _html_lines(html: str) -> list[str]:
    inlined = css_inline.inline(html, keep_at_rules=True, load_remote_stylesheets=False)
    ascii_html = inlined.encode("ascii", "xmlcharrefreplace").decode("ascii")
    return [part for line in ascii_html.splitlines() if line for part in _short(line)]


def _short(line: str) -> list[str]:
    """The line in pieces that fit once they are filled; no placeholder is cut.

    White space is the same wherever it breaks.
    """
    if _filled_octets(line) <= LONGEST_LINE:
        return [line]
    pieces, octets = [""], 0
    for atom in _atoms(line):
        size = _filled_octets(atom)
        if octets + size > LONGEST_LINE:
            pieces.append("")
            octets = 0
        pieces[-1] += atom
        octets += size
    stripped = [piece.strip(" \t") for piece in pieces]
    return [piece for piece in stripped if piece]


def _atoms(line: str) -> Iterator[str]:
    """Words and the space between them; too long a word is its characters."""
    for word in WORDS.findall(line):
        if _filled_octets(word) <= LONGEST_LINE:
            yield word
        else:
            yield from (found[0] for found in CHARACTERS.finditer(word))


def _filled_octets(text: str) -> int:
    parts = PLACEHOLDERS.split(text.encode())
    return sum(FILLED_OCTETS.get(part, len(part)) for part in parts)
