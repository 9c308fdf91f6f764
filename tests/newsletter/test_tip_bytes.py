"""E1: 200 tips through the engine, judged by the bytes that left (R1-R6, R14, R15)."""

import email
import email.policy
import html
import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from email.message import EmailMessage
from email.utils import parseaddr, parsedate_to_datetime
from functools import cached_property
from typing import Any

import pytest
from django.conf import settings
from django.utils import timezone

from mail import Delivery, Recipient, read_token, start_batch
from mail.models import Batch
from mail.sending import send_due
from mail.smtp import Conversation
from newsletter import composing, emails
from newsletter.models import HealthTip, TipRevision
from review import digest
from tests.conftest import Mailbox
from twitchsite.embedded.mailbox import Stored, messages

SITE = "https://health.example"
PEOPLE = 16
LONG = "Muskelzuckungen – was hilft? " * 12
ARTICLE = {"title": "Eyelid twitch & “co”", "url": f"{SITE}/articles/eyelid-twitch/"}


@dataclass
class Left:
    """A mail as it left: its bytes, and what the envelope said."""

    raw: bytes
    sender: str
    recipient: str

    @classmethod
    def of(cls, stored: Stored) -> "Left":
        envelope = stored.envelope
        (recipient,) = envelope["to"]
        return cls(stored.path.read_bytes(), envelope["from"], recipient)

    @cached_property
    def mail(self) -> EmailMessage:
        parsed = email.message_from_bytes(self.raw, policy=email.policy.SMTP)
        assert isinstance(parsed, EmailMessage)
        return parsed

    @cached_property
    def bodies(self) -> list[str]:
        """Text and HTML as a reader's program decodes them."""
        return [str(part.get_content()) for part in self.mail.iter_parts()]

    @property
    def links(self) -> list[str]:
        text, page = self.bodies
        spelled_out = re.findall(r"https?://[^\s)>]+", text)
        return spelled_out + [
            html.unescape(one) for one in re.findall(r'href="([^"]*)"', page)
        ]

    @property
    def head(self) -> bytes:
        return self.raw.partition(b"\r\n\r\n")[0] + b"\r\n"

    def all(self, name: str) -> list[str]:
        return [str(value) for value in self.mail.get_all(name, [])]

    def has_line(self, line: str) -> bool:
        """Exactly this header, once, and no other of its name."""
        name = line.partition(":")[0].lower().encode() + b":"
        lines = self.head.split(b"\r\n")
        return [one for one in lines if one.lower().startswith(name)] == [line.encode()]


def one_click(left: Left) -> bool:
    """R1: one https URI, for this very person."""
    found = re.findall(rb"(?im)^List-Unsubscribe:(.*)\r\n", left.head)
    links = [
        re.fullmatch(
            rb" <(%s/newsletter/unsubscribe/([\w-]{44})/)>" % SITE.encode(), one
        )
        for one in found
    ]
    if len(links) != 1 or links[0] is None:
        return False
    key = read_token("unsubscribe", links[0][2].decode())
    return key == Recipient.objects.get(address=left.recipient).key


def leaves_from_both_parts(left: Left) -> bool:
    links = {one.strip("<>") for one in left.all("List-Unsubscribe")}
    text, page = left.bodies
    return all(one in text and f'href="{one}"' in page for one in links)


def dated_once(left: Left) -> bool:
    (_, key, _) = re.split(r"[+@]", left.sender)
    dated_at = Delivery.objects.get(key=key).dated_at.replace(microsecond=0)
    return [parsedate_to_datetime(one) for one in left.all("Date")] == [dated_at]


def identified_once(left: Left) -> bool:
    (*ids,) = left.all("Message-ID")
    return len(ids) == 1 and bool(
        re.fullmatch(r"<[0-9a-f]{32}@health\.example>", ids[0])
    )


def aligned(left: Left) -> bool:
    """From, return path and so DKIM's d= share a domain (RFC 7489 section 3.1)."""
    senders = left.all("From")
    addresses = [parseaddr(one)[1] for one in (*senders, left.sender)]
    return len(senders) == 1 and {one.rpartition("@")[2] for one in addresses} == {
        "health.example"
    }


def every_line_fits(left: Left) -> bool:
    """RFC 5321 section 4.5.3.1.6, RFC 2045 section 2.8: CRLF and no other end."""
    lines = left.raw.split(b"\r\n")
    ends = left.raw.replace(b"\r\n", b"")
    return max(map(len, lines)) <= 998 and not re.search(rb"[\r\n\0]", ends)


def reads_as_utf8(left: Left) -> bool:
    charsets = {part.get_content_charset() for part in left.mail.iter_parts()}
    try:
        left.raw.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return charsets <= {"utf-8", "us-ascii"} and "\ufffd" not in "".join(left.bodies)


def loads_nothing(left: Left) -> bool:
    """No pixel: nothing is fetched when the mail is opened."""
    page = left.bodies[1].lower()
    return not re.search(r"<img|<link|<script|\bsrc=|\bbackground=|url\(|@import", page)


def leads_to_us_alone(left: Left) -> bool:
    own = (f"{SITE}/", f"mailto:{settings.CONTACT_EMAIL}")
    return len(left.links) > 4 and all(one.startswith(own) for one in left.links)


RULES: dict[str, Callable[[Left], bool]] = {
    "one List-Unsubscribe for this person": one_click,
    "List-Unsubscribe-Post exact": lambda left: left.has_line(
        "List-Unsubscribe-Post: List-Unsubscribe=One-Click"
    ),
    "List-Id": lambda left: left.has_line(
        "List-Id: twitchsite health tips <tips.health.example>"
    ),
    "List-Help": lambda left: left.has_line(f"List-Help: <{SITE}/newsletter/>"),
    "Auto-Submitted": lambda left: left.has_line("Auto-Submitted: auto-generated"),
    "Message-ID once, from us": identified_once,
    "no address in it": lambda left: "rosa" not in left.all("Message-ID")[0],
    "Date once": dated_once,
    "From aligned": aligned,
    "one To, the envelope's": lambda left: left.has_line(f"To: <{left.recipient}>"),
    "no other recipient": lambda left: not left.all("Cc") + left.all("Bcc"),
    "a person reads replies": lambda left: left.has_line(
        f"Reply-To: {settings.CONTACT_EMAIL}"
    ),
    "text, then HTML": lambda left: (
        left.mail.get_content_type() == "multipart/alternative"
        and [part.get_content_type() for part in left.mail.iter_parts()]
        == ["text/plain", "text/html"]
    ),
    "postal address in both": lambda left: all(
        settings.POSTAL_ADDRESS in body for body in left.bodies
    ),
    "contact in both": lambda left: all(
        settings.CONTACT_EMAIL in body for body in left.bodies
    ),
    "unsubscribe link in both": leaves_from_both_parts,
    "lines fit": every_line_fits,
    "UTF-8": reads_as_utf8,
    "loads nothing": loads_nothing,
    "links are ours": leads_to_us_alone,
    "nothing left unfilled": lambda left: b"@@" not in left.raw,
}


def broken(left: Left) -> list[str]:
    return [name for name, holds in RULES.items() if not holds(left)]


def awkward() -> TipRevision:
    """What an editor may write: long, not ASCII, with lines that begin with a dot."""
    words = "<p>.dot</p><p>" + "“langes” Wort – 😀 & so " * 400 + "</p><p>.</p>"
    content = composing.from_html(LONG.strip(), "Vorschau – " * 20, words)
    tip = HealthTip.objects.create(slug="awkward", position=99)
    return TipRevision(tip=tip, number=1, content=content, digest=digest(content))


def start(revision: TipRevision) -> Batch:
    line = "Medically reviewed by Carla Example, MB ChB, on 24 November 2026."
    batch = start_batch(
        name=revision.tip.slug,
        mail=emails.tip(revision, review_line=line, article=ARTICLE),
        recipients=Recipient.objects.all(),
        due_at=timezone.now(),
    )
    assert batch is not None
    return batch


@pytest.fixture
def rosas(db: None) -> list[Recipient]:
    """People whose address must not get where it does not belong."""
    return Recipient.objects.bulk_create(
        Recipient(address=f"rosa+{number}@example.com", may_receive=True)
        for number in range(PEOPLE)
    )


@pytest.mark.parametrize("takes_8bit", [True, False])
def test_e1_two_hundred_tips_keep_every_rule(
    rosas: list[Recipient],
    mailbox: Mailbox,
    monkeypatch: pytest.MonkeyPatch,
    takes_8bit: bool,
) -> None:
    monkeypatch.setattr(Conversation, "takes_8bit", takes_8bit)
    revisions = [*(revision for revision, _ in composing.load()), awkward()]
    for revision in revisions:
        start(revision)

    send_due()

    left = [Left.of(stored) for stored in messages(mailbox.folder)]
    assert len(left) == PEOPLE * len(revisions) >= 200
    assert [(one.mail["Subject"], why) for one in left if (why := broken(one))] == []
    assert len({one.all("Message-ID")[0] for one in left}) == len(left)
    assert LONG.strip() in {one.mail["Subject"] for one in left}


def spoil(left: Left, old: bytes, new: bytes) -> Left:
    raw = re.sub(old, new, left.raw, count=1)
    assert raw != left.raw
    return Left(raw, left.sender, left.recipient)


SPOILED = [
    (
        "one List-Unsubscribe for this person",
        rb"(?m)^List-Unsubscribe: .*\r\n",
        b"",
    ),
    (
        "one List-Unsubscribe for this person",
        rb"(?m)^List-Unsubscribe: <https",
        b"List-Unsubscribe: <http",
    ),
    ("List-Unsubscribe-Post exact", b"=One-Click", b"=one-click"),
    ("List-Id", rb"<tips\.health", b"<other.health"),
    ("List-Help", b"List-Help", b"X-Help"),
    ("Auto-Submitted", b"auto-generated", b"no"),
    (
        "Message-ID once, from us",
        rb"(?m)^Message-ID",
        b"Message-ID: <x@y>\r\n\\g<0>",
    ),
    ("no address in it", rb"(?m)^Message-ID: <", b"\\g<0>rosa"),
    (
        "Date once",
        rb"(?m)^Date: ",
        b"Date: Tue, 24 Nov 2026 09:00:00 +0000\r\n\\g<0>",
    ),
    ("From aligned", b"<tips@health", b"<tips@other"),
    ("one To, the envelope's", rb"(?m)^To: <", b"\\g<0>x@example.com>, <"),
    ("no other recipient", rb"(?m)^To: ", b"Cc: x@example.com\r\n\\g<0>"),
    ("a person reads replies", b"Reply-To: hello", b"Reply-To: noreply"),
    ("text, then HTML", b"multipart/alternative", b"multipart/mixed"),
    ("postal address in both", b"1 Test Street", b""),
    ("contact in both", b"Questions: hello", b"Questions: "),
    ("unsubscribe link in both", rb"(?s)(\r\n\r\n.*?)/unsubscribe/", b"\\1/leave/"),
    ("lines fit", rb"Unsubscribe \(one", b"x" * 999 + b"\\g<0>"),
    ("lines fit", b"Questions: ", b"\n\\g<0>"),
    ("UTF-8", b"Questions: ", b"\xff\\g<0>"),
    ("loads nothing", b"</body>", b'<img src="https://health.example/p">\\g<0>'),
    (
        "links are ours",
        b"https://health.example/articles",
        b"https://x.example/articles",
    ),
    ("nothing left unfilled", b"Questions: ", b"@@TO@@\\g<0>"),
]


def test_each_rule_of_e1_sees_when_it_is_broken(
    rosas: list[Recipient], mailbox: Mailbox
) -> None:
    start(next(composing.load())[0])
    send_due()
    left = Left.of(messages(mailbox.folder)[0])

    unseen = [
        (rule, new)
        for rule, old, new in SPOILED
        if rule not in broken(spoil(left, old, new))
    ]

    assert broken(left) == []
    assert unseen == []
    assert {rule for rule, _, _ in SPOILED} == set(RULES)


def test_e1_a_mail_is_the_same_bytes_at_every_try(
    rosas: list[Recipient], mailbox: Mailbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The server keeps it and asks for it again, as after a lost reply."""
    taken = mailbox.handle_DATA

    async def hesitant(*args: Any) -> str:
        await taken(*args)
        return "451 4.3.0 once more, please"

    with monkeypatch.context() as patch:
        patch.setattr(mailbox, "handle_DATA", hesitant)
        start(next(composing.load())[0])
        send_due()
    Delivery.objects.update(due_at=timezone.now() - timedelta(minutes=1))
    send_due()

    left = [Left.of(stored) for stored in messages(mailbox.folder)]
    first, again = left[:PEOPLE], left[PEOPLE:]
    assert {one.raw for one in first} == {one.raw for one in again}
    assert len({one.raw for one in left}) == PEOPLE
    assert {one.sender for one in first} == {one.sender for one in again}
