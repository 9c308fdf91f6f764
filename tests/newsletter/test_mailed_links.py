"""E3 and E4: what the links in mails do when programs follow them, over HTTP."""

import email
import email.policy
import html
import re
from collections.abc import Iterator
from datetime import timedelta
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import httpx
import pytest
from django.contrib.auth.models import User
from django.core.handlers.wsgi import WSGIHandler
from django.core.signals import request_finished, request_started
from django.db import close_old_connections
from django.utils import timezone
from pytest_django import Settings

from ledger import Entry
from mail import Batch, Delivery, Recipient, token
from mail.sending import send_due
from newsletter import composing
from newsletter.models import ConsentEvent, HealthTip, Subscriber
from newsletter.scheduling import start_due_issues
from newsletter.subscribing import resolve_sign_ups
from tests.conftest import Mailbox
from tests.newsletter.test_composing import NOW, approve_tip, article, schedule
from tests.newsletter.test_subscribing import ROSA, policies
from tests.racing import everything
from twitchsite.embedded.mailbox import messages

__all__ = ["policies"]

SITE = "https://health.example"
FORM = {"List-Unsubscribe": "One-Click"}
URLENCODED: dict[str, Any] = {"data": FORM}
MULTIPART: dict[str, Any] = {"files": {"List-Unsubscribe": (None, "One-Click")}}
PROGRAMS = [
    "",
    "Mozilla/5.0 (compatible; YahooMailProxy; https://help.yahoo.com/kb/)",
    "Google-Mail-Unsubscribe",
    "Mozilla/5.0 (iPhone; CPU iPhone OS 19_0 like Mac OS X) AppleWebKit/605.1.15",
    "curl/8.5.0",
    "Barracuda Sentinel (EE)",
]


@pytest.fixture
def web(db: None, settings: Settings, tmp_path: Path) -> Iterator[httpx.Client]:
    """HTTP as a mail provider speaks it: no cookie, no Origin, no Referer."""
    settings.STATIC_ROOT = tmp_path / "static"
    settings.STATIC_ROOT.mkdir()
    # The test's transaction lives on its connection; Django would close it.
    for signal in (request_started, request_finished):
        signal.disconnect(close_old_connections)
    with httpx.Client(
        transport=httpx.WSGITransport(app=WSGIHandler()),
        base_url=SITE,
        headers={"X-Forwarded-Proto": "https"},
    ) as client:
        yield client
    for signal in (request_started, request_finished):
        signal.connect(close_old_connections)


@pytest.fixture
def mails(
    policies: None, web: httpx.Client, mailbox: Mailbox
) -> tuple[EmailMessage, EmailMessage]:
    """The confirmation and the tip that Rosa got; she is on the list."""
    web.post("/newsletter/", data={"email": ROSA})
    resolve_sign_ups()
    send_due()
    confirmation = newest(mailbox)
    (link,) = {one for one in links(confirmation) if "/confirm/" in one}
    web.post(link)
    start_tip()
    send_due()
    return confirmation, newest(mailbox)


def start_tip() -> None:
    """An issue of a signed tip whose links lead somewhere."""
    article()
    tip = HealthTip.objects.create(slug="rest", position=1)
    text = "Rest. [Read](/articles/muscle-twitching/)"
    content = composing.content_of("Rest", "A tip", text)
    nadia = User.objects.create(username="nadia")
    revision, _ = composing.revise(tip, content, cites=["muscle-twitching"], by=nadia)
    approve_tip(revision)
    schedule()
    assert start_due_issues(NOW) == 1
    Delivery.objects.waiting().update(due_at=timezone.now() - timedelta(minutes=1))


def newest(mailbox: Mailbox) -> EmailMessage:
    raw = messages(mailbox.folder)[-1].path.read_bytes()
    parsed = email.message_from_bytes(raw, policy=email.policy.SMTP)
    assert isinstance(parsed, EmailMessage)
    return parsed


def links(mail: EmailMessage) -> set[str]:
    """Every address on the web in its headers and in both its parts."""
    text, page = (str(part.get_content()) for part in mail.iter_parts())
    headers = " ".join(str(value) for value in mail.values())
    found = re.findall(
        r"https?://[^\s<>)\"]+", f"{headers} {text} {html.unescape(page)}"
    )
    return set(found)


def status() -> str:
    return Subscriber.objects.get(recipient__address=ROSA).status


@pytest.fixture
def link(db: None) -> str:
    """The one-click link of Rosa, who is on the list."""
    rosa = Recipient.objects.create(address=ROSA, may_receive=True)
    Subscriber.objects.create(
        recipient=rosa, status="confirmed", confirmed_at=timezone.now()
    )
    return f"{SITE}/newsletter/unsubscribe/{token('unsubscribe', rosa.key)}/"


@pytest.mark.parametrize("program", PROGRAMS)
@pytest.mark.parametrize("body", [URLENCODED, MULTIPART], ids=["form", "multipart"])
def test_e3_one_click_is_all_it_takes(
    web: httpx.Client, link: str, body: dict[str, Any], program: str
) -> None:
    answer = web.post(link, headers={"User-Agent": program}, **body)

    assert answer.status_code == 200
    assert "location" not in answer.headers
    assert "set-cookie" not in answer.headers
    assert status() == "unsubscribed"
    assert not Recipient.objects.get(address=ROSA).may_receive
    assert ConsentEvent.objects.get().act == "withdrawn"


@pytest.mark.parametrize("body", [URLENCODED, MULTIPART], ids=["form", "multipart"])
def test_e3_again_changes_nothing(
    web: httpx.Client, link: str, body: dict[str, Any]
) -> None:
    first = web.post(link, **body)
    before = everything()

    again = [web.post(link, **body) for _ in range(3)]

    assert {one.status_code for one in again} == {first.status_code} == {200}
    assert {one.content for one in again} == {first.content}
    assert everything() == before


def test_e3_what_waits_for_the_person_stays_here(
    web: httpx.Client, mails: tuple[EmailMessage, EmailMessage], mailbox: Mailbox
) -> None:
    received = len(mailbox.taken)
    waiting = Delivery.objects.create(
        recipient=Recipient.objects.get(address=ROSA),
        batch=Batch.objects.create(name="next", message=b"x"),
        kind=Delivery.Kind.TIP,
        idempotency_key="next",
    )

    web.post(str(mails[1]["List-Unsubscribe"]).strip("<>"), **URLENCODED)
    send_due()

    waiting.refresh_from_db()
    assert (waiting.state, waiting.reason) == ("dropped", "unsubscribed")
    assert len(mailbox.taken) == received


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "https://mail.example", "Sec-Fetch-Site": "cross-site"},
        {"Origin": "null"},
        {"Referer": "https://mail.example/inbox"},
        {"Cookie": "sessionid=another-sites; csrftoken=x"},
    ],
)
def test_e3_a_mail_program_in_a_browser_may_press_it(
    web: httpx.Client, link: str, headers: dict[str, str]
) -> None:
    answer = web.post(link, headers=headers, **URLENCODED)

    assert answer.status_code == 200
    assert "set-cookie" not in answer.headers
    assert status() == "unsubscribed"


@pytest.mark.parametrize(
    "body",
    [
        {"content": b""},
        {"content": b"\xff" * 100},
        {"data": {"List-Unsubscribe": "One-Click", "more": "x"}},
        {"content": b"{}", "headers": {"Content-Type": "application/json"}},
        {
            "content": b"--x\r\nno part",
            "headers": {"Content-Type": "multipart/form-data; boundary=x"},
        },
    ],
    ids=["empty", "bytes", "more", "json", "torn multipart"],
)
def test_e3_the_address_alone_names_person_and_list(
    web: httpx.Client, link: str, body: dict[str, Any]
) -> None:
    """RFC 8058 section 3.1: whatever else the request says, this person leaves."""
    assert web.post(link, **body).status_code == 200
    assert status() == "unsubscribed"


def test_e3_a_forged_link_changes_nothing(web: httpx.Client, link: str) -> None:
    before = everything()

    for place in range(len(link) - 45, len(link) - 1):
        other = "A" if link[place] != "A" else "B"
        forged = link[:place] + other + link[place + 1 :]
        assert web.post(forged, **URLENCODED).status_code == 404

    assert everything() == before


@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_e4_looking_at_every_link_twenty_times_changes_nothing(
    web: httpx.Client, mails: tuple[EmailMessage, EmailMessage], method: str
) -> None:
    """Security gateways fetch all of a mail's links before a person sees it."""
    found = links(mails[0]) | links(mails[1])
    before, entries = everything(), Entry.objects.count()

    answers = [
        web.request(method, link, headers={"User-Agent": program})
        for link in sorted(found)
        for program in (PROGRAMS * 4)[:20]
    ]

    own = {one.partition("/newsletter/")[2].partition("/")[0] for one in found}
    assert own >= {"confirm", "unsubscribe"}
    assert all(one.startswith(f"{SITE}/") or one == SITE for one in found)
    assert {one.status_code for one in answers} == {200}
    assert not any("set-cookie" in one.headers for one in answers)
    assert Entry.objects.count() == entries
    assert everything() == before
    assert status() == "confirmed"


@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_e4_looking_at_a_confirmation_confirms_nobody(
    policies: None, web: httpx.Client, mailbox: Mailbox, method: str
) -> None:
    web.post("/newsletter/", data={"email": ROSA})
    resolve_sign_ups()
    send_due()
    before = everything()

    for link in sorted(links(newest(mailbox))) * 20:
        assert web.request(method, link).status_code == 200

    assert everything() == before
    assert status() == "unconfirmed"
    (link,) = {one for one in links(newest(mailbox)) if "/confirm/" in one}
    assert web.post(link).status_code == 200
    assert status() == "confirmed"
