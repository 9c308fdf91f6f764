"""A page whose text Carla signed, and every face that it shows to readers."""

import json
import re
from dataclasses import dataclass
from datetime import datetime, timedelta
from hashlib import sha256
from html import unescape
from typing import Any

from django.contrib.auth.models import User
from django.http import HttpRequest
from django.test import RequestFactory
from django.utils import timezone

from articles import views
from articles.editing import revise
from articles.feeds import SectionFeed
from articles.models import Article, Revision, Section
from articles.pictures import keep_drawing
from articles.publishing import publish
from newsletter.models import TipRevision
from review import Clinician, SignOff, sign

SIGNER = "Carla Example"
SLUG = "muscle-twitching"
YEAR = timedelta(days=365)
CLAIMS = ("Medically reviewed by", SIGNER, "reviewedBy", "lastReviewed")
DRAWINGS = [
    f'<svg xmlns="http://www.w3.org/2000/svg" id="{name}"/>'.encode() for name in "ab"
]
A_PICTURE, ANOTHER = (sha256(drawing).hexdigest() for drawing in DRAWINGS)
TEXT: dict[str, Any] = {
    "title": "Muscle twitching",
    "summary": "Mostly harmless & short.",
    "key_points": ["Twitches are common.", "Most stop within 2 weeks."],
    "body": (
        "<h2>Overview</h2><p>Take <strong>5 mg</strong> of it, <em>never</em> 50 mg."
        '<sup class="citation"><a href="#ref-1">1</a></sup> H<sub>2</sub>O.<br>Rest.'
        f'</p><figure><img src="/pictures/{A_PICTURE}.svg" alt="A muscle" width="40" '
        'height="30"><figcaption>A muscle at rest.</figcaption></figure>'
        '<h3>Causes</h3><ul><li>Coffee</li><li>Stress</li></ul><ol start="2"><li>Wait'
        "</li><li>Call a doctor</li></ol><blockquote><p>It was "
        '<a href="https://nhs.uk/">nothing</a>.</p></blockquote>'
        '<p>An <abbr title="electromyogram">EMG</abbr> may '
        'help.<sup class="citation"><a href="#ref-2">2</a></sup></p><table><thead><tr>'
        '<th scope="col">Dose</th><th scope="col">Days</th></tr></thead><tbody><tr><td>'
        '5 mg</td><td>14</td></tr><tr><td colspan="2">Not in pregnancy</td></tr>'
        "</tbody></table>"
    ),
    "care_cards": [
        {
            "level": "emergency",
            "heading": "Call 999 if:",
            "items": ["you can't breathe", "your face droops"],
            "closing": "Don't drive.",
            "cites": [1],
        },
        {
            "level": "urgent",
            "heading": "Ask for help today if:",
            "items": ["it lasts 2 weeks"],
            "closing": "",
            "cites": [],
        },
        {
            "level": "non-urgent",
            "heading": "See a doctor if:",
            "items": ["you worry"],
            "closing": "Take notes.",
            "cites": [2, 3],
        },
    ],
    "references": [
        {
            "number": number,
            "publisher": "NHS",
            "title": f"Source {number}",
            "url": f"https://nhs.uk/{number}",
            "year": "2024",
            "doi": f"10.1000/abc{number}",
            "pmid": f"1234{number}",
        }
        for number in (1, 2, 3)
    ],
}


@dataclass(frozen=True)
class Public:
    """Every face of the article, byte for byte."""

    html: str
    markdown: str
    feed: str
    record: str


def asking(user: User | None = None) -> HttpRequest:
    request = RequestFactory().get("/", secure=True)
    if user:
        request.user = user
    return request


def html() -> str:
    return views.article(asking(), SLUG).content.decode()


def markdown() -> str:
    return views.markdown(asking(), SLUG).content.decode()


def feed() -> str:
    return SectionFeed()(asking(), slug="conditions").content.decode()


def record() -> str:
    return views.review_record(asking(), SLUG).content.decode()


def public() -> Public:
    return Public(html(), markdown(), feed(), record())


def structured(page: str) -> dict[str, Any]:
    found = re.search(r'<script type="application/ld\+json">(.*?)</script>', page, re.S)
    facts: dict[str, Any] = json.loads(found[1]) if found else {}
    return facts


def words(page: str) -> str:
    """What a reader reads: no tags, no JSON-LD, single blanks."""
    seen = re.sub(r"<script.*?</script>|<head>.*?</head>", "", page, flags=re.S)
    return re.sub(r"\s+", " ", unescape(re.sub(r"<[^>]+>", "", seen))).strip()


def makes_no_claim(text: str) -> bool:
    return not any(claim in text for claim in CLAIMS) and (
        "not medically reviewed" in text
    )


@dataclass(frozen=True)
class Site:
    article: Article
    live: Revision
    sign_off: SignOff
    edith: User
    opened_at: datetime
    before: Public


def clinician(**changes: Any) -> Clinician:
    user, _ = User.objects.get_or_create(username="carla")
    fields = {
        "name": SIGNER,
        "credentials": "MB ChB",
        "registration": "GMC 0",
        "credential_expires_at": timezone.now() + 9 * YEAR,
        **changes,
    }
    found, _ = Clinician.objects.get_or_create(user=user, defaults=fields)
    return found


def approved(revision: Revision | TipRevision, subject: str, **changes: Any) -> SignOff:
    arguments = {
        "subject": subject,
        "by": clinician(),
        "authors": revision.author_ids,
        "verdict": SignOff.Verdict.APPROVED,
        "conflicts_of_interest": "none",
        "comment": "Read in full.",
        "valid_for": YEAR,
        **changes,
    }
    return sign(revision.content, **arguments)


def open_site() -> Site:
    """An article on the site whose text Carla signed."""
    edith = User.objects.create(username="edith", is_superuser=True, is_staff=True)
    for drawing in DRAWINGS:
        keep_drawing(sha256(drawing).hexdigest(), drawing, 40, 30)
    section = Section.objects.create(slug="conditions", title="Health Conditions")
    article = Article.objects.create(slug=SLUG, section=section, kind="symptom")
    live, _ = revise(article, TEXT, by=edith)
    sign_off = approved(live, article.subject)
    opened_at = timezone.now()
    publish(live, by=edith, at=opened_at)
    return Site(article, live, sign_off, edith, opened_at, public())
