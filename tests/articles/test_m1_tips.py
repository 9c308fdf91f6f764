"""M1 for tips: what a mail says of its review follows from the very text it carries."""

from dataclasses import dataclass
from datetime import time
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.utils import timezone
from pytest_django import Settings

from newsletter import composing, emails
from newsletter.choosing import next_tip, outlook
from newsletter.models import HealthTip, Schedule, TipRevision
from newsletter.scheduling import review_line
from review import SignOff
from tests.articles.signed_page import (
    SLUG,
    approved,
    clinician,
    open_site,
    words,
)
from tests.articles.test_m1_badge import (
    DEMO,
    SIGNED,
    own_database,
    superuser,
)
from tests.tampering import tamper

__all__ = ["own_database", "superuser"]


@dataclass(frozen=True)
class Post:
    """A tip that cites the article, both approved, and the schedule it waits on."""

    schedule: Schedule
    tip: HealthTip
    revision: TipRevision
    sign_off: SignOff


def write_tip(**changes: str) -> dict[str, Any]:
    said = {"subject": "Rest", "preheader": "A tip", "html": "<p>Rest 5 min.</p>"}
    return composing.from_html(**{**said, **changes})


def open_post() -> Post:
    site = open_site()
    tip = HealthTip.objects.create(slug="rest", position=1)
    revision, _ = composing.revise(tip, write_tip(), cites=[SLUG], by=site.edith)
    sign_off = approved(revision, tip.subject)
    schedule = Schedule.objects.create(
        name="weekly", time_of_day=time(9), starts_at=SIGNED
    )
    return Post(schedule, tip, revision, sign_off)


def chosen(post: Post) -> tuple[TipRevision, SignOff] | None:
    revision = next_tip(post.schedule, timezone.now())
    sign_off = outlook(revision).sign_off if revision else None
    return (revision, sign_off) if revision and sign_off else None


def test_m1_an_approved_tip_says_by_whom_and_when(db: None) -> None:
    post = open_post()

    found = chosen(post)

    assert found == (post.revision, post.sign_off)
    line = review_line(post.sign_off)
    day = f"{post.sign_off.signed_at:%-d %B %Y}"
    assert line == f"Medically reviewed by Carla Example, MB ChB on {day}."
    mail = emails.tip(
        post.revision, review_line=line, article={"title": "Twitching", "url": "/x/"}
    )
    assert line in words(mail.html)
    assert line in " ".join(mail.text.split())


def test_m1_a_demonstration_tip_says_that_it_is_one(
    db: None, settings: Settings
) -> None:
    settings.DEMO = True
    clinician(demonstration=True)
    post = open_post()

    assert chosen(post) == (post.revision, post.sign_off)
    assert review_line(post.sign_off) == f"{DEMO}."


@pytest.mark.parametrize(
    "change",
    [{"subject": "Rest!"}, {"preheader": "A tip."}, {"html": "<p>Rest 50 min.</p>"}],
)
def test_m1_a_tip_that_was_edited_waits_for_its_own_signature(
    db: None, change: dict[str, str]
) -> None:
    post = open_post()

    edith = User.objects.get(username="edith")

    _, made = composing.revise(post.tip, write_tip(**change), cites=[SLUG], by=edith)

    assert made
    assert chosen(post) is None
    composing.revise(post.tip, write_tip(), cites=[SLUG], by=edith)
    found = chosen(post)
    assert found
    assert found[1] == post.sign_off


@pytest.mark.parametrize(
    "assignment",
    [
        """content = jsonb_set(content, '{subject}', '"Take 50 mg"')""",
        """content = jsonb_set(content, '{preheader}', '"Take 50 mg"')""",
        """content = jsonb_set(content, '{html}', '"<p>Take 50 mg</p>"')""",
        """content = jsonb_set(content, '{text}', '"Take 50 mg"')""",
        "content = '{}'",
        "content = '1.5'",
        "cites = '{}'",
        "cites = '{another-article}'",
        "number = 7",
        "author_ids = '{}'",
        "digest = repeat('0', 64)",
    ],
)
def test_m1_a_tip_whose_row_was_altered_is_not_sent(
    superuser: None, assignment: str
) -> None:
    post = open_post()
    assert chosen(post)

    tamper(f"UPDATE newsletter_tiprevision SET {assignment}")  # noqa: S608

    assert chosen(post) is None


@pytest.mark.parametrize(
    "assignment",
    [
        "signer_name = 'Mallory'",
        "valid_until = valid_until + interval '1 year'",
        "author_ids = '{}'",
        "comment = 'Fine.'",
    ],
)
def test_m1_a_tip_whose_sign_off_was_altered_is_not_sent(
    superuser: None, assignment: str
) -> None:
    post = open_post()

    tamper(
        f"UPDATE review_signoff SET {assignment} WHERE id = %s",  # noqa: S608
        post.sign_off.pk,
    )

    assert chosen(post) is None


def test_m1_a_tip_waits_while_the_article_it_cites_was_altered(
    superuser: None,
) -> None:
    post = open_post()

    tamper(
        "UPDATE articles_revision "
        """SET content = jsonb_set(content, '{summary}', '"Take 50 mg"')"""
    )

    assert chosen(post) is None
