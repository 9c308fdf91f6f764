"""A site on New Year's Day 2026 whose approvals hold for two years."""

from collections.abc import Iterator
from datetime import UTC, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from django.utils import timezone
from time_machine import travel

from articles.editing import revise
from articles.models import Article
from articles.publishing import publish
from mail import Delivery, Recipient
from newsletter import composing
from newsletter.models import HealthTip, Schedule, Subscriber, TipRevision
from newsletter.scheduling import start_due_issues
from review import SignOff, sign
from tests.articles.test_publishing import TEXT, make_article
from tests.people import carla, edith

NEW_YEAR = datetime(2026, 1, 1, tzinfo=UTC)
TWO_YEARS = timedelta(days=730)
DAY = timedelta(days=1)
WEEK = timedelta(days=7)


def on_new_year() -> Iterator[Article]:
    """The clock stands still; an approved article that tips can rely on."""
    with travel(NEW_YEAR, tick=False):
        yield approved_article("muscle-twitching")


def approved_article(slug: str) -> Article:
    article = make_article(slug)
    revision, _ = revise(article, {**TEXT, "title": slug}, by=None)
    verdict(revision, article.subject)
    publish(revision)
    article.refresh_from_db()
    return article


def verdict(
    text: Any,
    subject: str,
    given: SignOff.Verdict = SignOff.Verdict.APPROVED,
    valid_for: timedelta = TWO_YEARS,
) -> SignOff:
    return sign(
        text.content,
        subject=subject,
        by=carla(),
        authors=text.author_ids,
        verdict=given,
        conflicts_of_interest="none",
        comment="Read in full.",
        valid_for=valid_for,
    )


def written_tip(slug: str = "rest", *cites: str) -> TipRevision:
    tip = HealthTip.objects.create(slug=slug, position=HealthTip.objects.count())
    content = composing.content_of(slug.title(), "A tip", f"Rest: {slug}.")
    cited = list(cites) or ["muscle-twitching"]
    return composing.revise(tip, content, cites=cited, by=edith())[0]


def approved_tip(slug: str = "rest", *cites: str, **signed: Any) -> TipRevision:
    revision = written_tip(slug, *cites)
    verdict(revision, revision.tip.subject, **signed)
    return revision


def subscriber(name: str, zone: str = "UTC", **changes: Any) -> Subscriber:
    recipient = Recipient.objects.create(
        address=f"{name}@example.com".lower(), may_receive=True
    )
    fields = {"status": "confirmed", "confirmed_at": timezone.now(), **changes}
    return Subscriber.objects.create(recipient=recipient, time_zone=zone, **fields)


def weekly(**changes: Any) -> Schedule:
    """Tuesdays at nine, from the first tip to the last and again."""
    fields = {
        "name": "Weekly",
        "time_of_day": time(9),
        "repeats": True,
        "starts_at": NEW_YEAR,
        **changes,
    }
    return Schedule.objects.create(**fields)


def tick(begins: datetime, ends: datetime, step: timedelta = DAY) -> int:
    """Ask for due issues again and again; how many were started."""
    started, at = 0, begins
    while at < ends:
        started += start_due_issues(at)
        at += step
    return started


def due_times(person: Subscriber) -> list[datetime]:
    """When the person's tips are due, in order."""
    own = Delivery.objects.filter(recipient=person.recipient)
    return list(own.order_by("due_at").values_list("due_at", flat=True))


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def clock(at: datetime, zone: str) -> datetime:
    """What a clock there reads, as a slot is written."""
    return at.astimezone(ZoneInfo(zone)).replace(tzinfo=UTC)
