"""Tips: signed as mailed, one issue a slot, to those who agreed."""

from datetime import time, timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import IntegrityError, transaction
from django.utils import timezone

from articles.editing import revise as revise_article
from articles.models import Article
from articles.publishing import publish, withdraw
from mail import Delivery, Recipient
from newsletter import composing
from newsletter.models import HealthTip, Issue, Schedule, Subscriber, TipRevision
from newsletter.scheduling import start_due_issues
from review import SignOff, sign, standing
from tests.articles.test_publishing import TEXT, approve, make_article

# After every sign-off that a test makes.
NOW = timezone.now() + timedelta(minutes=30)


def tip(slug: str = "rest", position: int = 1) -> TipRevision:
    health_tip = HealthTip.objects.create(slug=slug, position=position)
    content = composing.content_of("Rest", "A tip", f"Rest. [{slug}](/articles/x/)")
    nadia, _ = User.objects.get_or_create(username="nadia")
    revision, _ = composing.revise(
        health_tip, content, cites=["muscle-twitching"], by=nadia
    )
    return revision


def approve_tip(revision: TipRevision, verdict: Any = SignOff.Verdict.APPROVED) -> None:
    clinician = SignOff.objects.latest("pk").clinician
    sign(
        revision.content,
        subject=f"tip:{revision.tip_id}",
        by=clinician,
        authors=revision.author_ids,
        verdict=verdict,
        conflicts_of_interest="none",
        valid_for=timedelta(days=365),
    )


def article() -> Article:
    found = make_article()
    revision, _ = revise_article(found, TEXT, by=None)
    approve(revision)
    publish(revision)
    return found


def rosa(name: str = "rosa") -> Subscriber:
    recipient = Recipient.objects.create(
        address=f"{name}@example.com", may_receive=True
    )
    return Subscriber.objects.create(
        recipient=recipient,
        status=Subscriber.Status.CONFIRMED,
        confirmed_at=timezone.now(),
    )


def schedule(**changes: Any) -> Schedule:
    fields = {
        "name": "demo",
        "every": timedelta(seconds=20),
        "time_of_day": time(9),
        "starts_at": NOW - timedelta(days=1),
        **changes,
    }
    return Schedule.objects.create(**fields)


def test_an_approved_tip_goes_to_whom_it_may_once_a_slot(db: None) -> None:
    article()
    approve_tip(tip())
    rosa()
    left = rosa("left")
    Subscriber.objects.filter(pk=left.pk).update(status="unsubscribed")
    schedule()

    assert (start_due_issues(NOW), start_due_issues(NOW)) == (1, 0)

    (delivery,) = Delivery.objects.all()
    assert delivery.recipient.address == "rosa@example.com"


def test_an_unsigned_tip_waits(db: None) -> None:
    article()
    tip()
    rosa()
    schedule()

    assert start_due_issues(NOW) == 0


def test_a_tip_waits_while_what_it_cites_is_not_on_the_site(db: None) -> None:
    cited = article()
    approve_tip(tip())
    rosa()
    schedule()
    withdraw(cited, reason="The advice changed.")

    assert start_due_issues(NOW) == 0


def test_nobody_eligible_leaves_the_tip_in_the_queue(db: None) -> None:
    article()
    approve_tip(tip())
    schedule()

    assert start_due_issues(NOW) == 0
    assert not Issue.objects.exists()


def test_tips_go_out_in_their_order_and_once_unless_repeated(db: None) -> None:
    article()
    approve_tip(tip("second", 2))
    approve_tip(tip("first", 1))
    rosa()
    once = schedule()

    later = [NOW + timedelta(minutes=minute) for minute in range(3)]
    assert [start_due_issues(at) for at in later] == [1, 1, 0]
    Schedule.objects.filter(pk=once.pk).update(repeats=True)
    assert start_due_issues(NOW + timedelta(minutes=5)) == 1

    sent = Issue.objects.order_by("slot").values_list(
        "tip_revision__tip__slug", flat=True
    )
    assert list(sent) == ["first", "second", "first"]


@pytest.mark.parametrize(
    ("change", "value"),
    [
        ("verdict", "changes requested"),
        ("digest", "0" * 64),
        ("valid_until", NOW + timedelta(days=3000)),
        ("starts_at", NOW + timedelta(days=3000)),
    ],
)
def test_the_database_refuses_an_issue_without_its_sign_off(
    db: None, change: str, value: Any
) -> None:
    article()
    revision = tip()
    approve_tip(revision)
    found = standing(revision.tip.subject, revision.digest).sign_off
    assert found is not None
    fields = {
        "schedule": schedule(),
        "slot": NOW,
        "tip_revision": revision,
        "sign_off": found,
        "digest": found.digest,
        "verdict": found.verdict,
        "valid_until": found.valid_until,
        "starts_at": NOW,
        change: value,
    }

    with pytest.raises(IntegrityError), transaction.atomic():
        Issue.objects.create(**fields)


def test_the_library_s_tips_load_and_their_text_fits_a_screen(db: None) -> None:
    loaded = list(composing.load())

    assert len(loaded) == 12
    assert not any(made for _, made in composing.load())
    for revision, _ in loaded:
        text = revision.content["text"]
        assert "](" not in text
        assert "https://health.example/articles/" in text
        assert max(len(line) for line in text.splitlines()) <= 78


def test_other_articles_to_rely_on_make_a_revision_that_keeps_its_standing(
    db: None,
) -> None:
    article()
    first = tip()
    approve_tip(first)
    nadia = User.objects.get(username="nadia")

    second, made = composing.revise(
        first.tip, first.content, cites=["eyelid-twitch"], by=nadia
    )

    assert (made, second.cites, second.digest) == (
        True,
        ["eyelid-twitch"],
        first.digest,
    )
    assert standing(first.tip.subject, second.text_digest()).publishable
