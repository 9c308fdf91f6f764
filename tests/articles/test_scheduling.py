"""Publishing later: the exact text, once, or a mail that says why not."""

from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from articles.addresses import AddressTaken, move
from articles.editing import revise
from articles.models import PublishingEvent, Revision, ScheduledPublication
from articles.publishing import (
    AlreadyPublished,
    NotPermitted,
    NotPublished,
    NotSignedOff,
    correct,
    publish,
    publish_unsigned,
    withdraw,
)
from articles.refusals import Refused
from articles.scheduling import (
    AlreadyScheduled,
    NotWaiting,
    cancel,
    publish_due,
    schedule,
)
from mail import Delivery
from review import SignOff
from tests.articles.test_publishing import TEXT, approve, make_article
from tests.people import edith, person

HOUR = timedelta(hours=1)


def test_a_signed_text_is_published_at_its_minute(db: None) -> None:
    article = make_article()
    revision, _ = revise(article, TEXT, by=None)
    approve(revision)
    now = timezone.now()
    schedule(revision, by=edith(), planned_for=now + HOUR)

    assert publish_due(now + HOUR - timedelta(seconds=1)) == 0
    assert publish_due(now + HOUR) == 1
    assert publish_due(now + 2 * HOUR) == 0

    article.refresh_from_db()
    assert article.live_revision == revision


def test_when_signed_means_as_soon_as_it_is(db: None) -> None:
    article = make_article()
    revision, _ = revise(article, TEXT, by=None)
    schedule(revision, by=edith(), planned_for=None)
    assert publish_due() == 0

    approve(revision)

    assert publish_due() == 1
    article.refresh_from_db()
    assert article.live_revision == revision


def test_a_retracted_signature_stops_the_publication_and_tells_the_editor(
    db: None,
) -> None:
    article = make_article()
    revision, _ = revise(article, TEXT, by=None)
    approve(revision)
    now = timezone.now()
    schedule(revision, by=edith(), planned_for=now + HOUR)
    approve(revision, SignOff.Verdict.RETRACTED)

    assert publish_due(now + HOUR) == 0
    assert publish_due(now + HOUR) == 0

    article.refresh_from_db()
    assert article.live_revision is None
    plan = ScheduledPublication.objects.get()
    assert (plan.state, "took the approval back" in plan.reason) == ("refused", True)
    mail = Delivery.objects.get()
    assert mail.recipient.address == "edith@staff.health.example"
    assert b"Not published: Muscle twitching" in bytes(mail.message or b"")


def test_a_newer_draft_does_not_take_the_scheduled_texts_place(db: None) -> None:
    article = make_article()
    revision, _ = revise(article, TEXT, by=None)
    approve(revision)
    now = timezone.now()
    schedule(revision, by=edith(), planned_for=now + HOUR)
    revise(article, {**TEXT, "summary": "Newer."}, by=None)

    publish_due(now + HOUR)

    article.refresh_from_db()
    assert article.live_revision == revision


def test_what_would_be_refused_then_is_refused_now(db: None) -> None:
    revision, _ = revise(make_article(), TEXT, by=None)
    by, now = edith(), timezone.now()

    with pytest.raises(NotSignedOff, match="no clinician"):
        schedule(revision, by=by, planned_for=now + HOUR)
    approve(revision)
    with pytest.raises(NotSignedOff, match="run out"):
        schedule(revision, by=by, planned_for=now + timedelta(days=366))
    with pytest.raises(Refused, match="over"):
        schedule(revision, by=by, planned_for=now - HOUR)
    with pytest.raises(Refused, match="is signed"):
        schedule(revision, by=by, planned_for=None)


def test_one_publication_of_an_article_waits_at_a_time(db: None) -> None:
    article, by = make_article(), edith()
    first, _ = revise(article, TEXT, by=None)
    second, _ = revise(article, {**TEXT, "summary": "Newer."}, by=None)
    plan = schedule(first, by=by, planned_for=None)

    with pytest.raises(AlreadyScheduled, match="Revision 1 is scheduled"):
        schedule(second, by=by, planned_for=None)
    cancel(plan, by=by)
    schedule(second, by=by, planned_for=None)

    with pytest.raises(NotWaiting):
        cancel(plan, by=by)


def test_withdrawing_cancels_what_was_scheduled(db: None) -> None:
    article = make_article()
    revision, _ = revise(article, TEXT, by=None)
    approve(revision)
    publish(revision)
    newer, _ = revise(article, {**TEXT, "summary": "Newer."}, by=None)
    schedule(newer, by=edith(), planned_for=None)

    withdraw(article, reason="The advice is wrong.")
    approve(newer)

    assert publish_due() == 0
    assert ScheduledPublication.objects.get().state == "cancelled"


def test_who_scheduled_hears_that_the_article_was_withdrawn(db: None) -> None:
    article = make_article()
    revision, _ = revise(article, TEXT, by=None)
    approve(revision)
    publish(revision)
    later, _ = revise(article, {**TEXT, "summary": "Later."}, by=None)
    schedule(later, by=edith(), planned_for=None)

    withdraw(article, reason="Dangerous.")

    mail = Delivery.objects.get()
    assert mail.recipient.address == "edith@staff.health.example"
    told = bytes(mail.message or b"")
    assert b"The article was withdrawn." in told
    assert b"has not changed" not in told


def test_the_same_text_is_published_once(db: None) -> None:
    revision, _ = revise(make_article(), TEXT, by=None)
    approve(revision)
    publish(revision)

    with pytest.raises(AlreadyPublished):
        publish(revision)

    assert PublishingEvent.objects.count() == 1


def test_publishing_unsigned_needs_its_own_permission_and_a_reason(db: None) -> None:
    revision, _ = revise(make_article(), TEXT, by=None)
    chief = person("chief", is_superuser=True)

    with pytest.raises(NotPermitted):
        publish_unsigned(revision, by=edith(), reason="Urgent.")
    with pytest.raises(Refused, match="Say why"):
        publish_unsigned(revision, by=chief, reason=" ")
    publish_unsigned(revision, by=chief, reason="An outbreak; review follows.")

    revision.article.refresh_from_db()
    assert revision.article.unsigned_reason == "An outbreak; review follows."
    approve(revision)
    publish(revision)
    revision.article.refresh_from_db()
    assert revision.article.unsigned_reason == ""


def test_a_text_whose_approval_was_taken_back_goes_out_by_no_door(db: None) -> None:
    revision, _ = revise(make_article(), TEXT, by=None)
    approve(revision)
    approve(revision, SignOff.Verdict.RETRACTED)

    with pytest.raises(NotSignedOff, match="took back"):
        publish_unsigned(
            revision, by=person("chief", is_superuser=True), reason="Urgent."
        )


def test_a_correction_note_needs_a_live_text_and_words(db: None) -> None:
    article = make_article()
    revision, _ = revise(article, TEXT, by=None)
    with pytest.raises(NotPublished):
        correct(article, note="5 mg, not 50 mg.")
    approve(revision)
    publish(revision)

    with pytest.raises(Refused, match="what was wrong"):
        correct(article, note="")
    correct(article, note="5 mg, not 50 mg.")

    assert article.events.get(act="corrected").text == "5 mg, not 50 mg."


def test_an_address_that_was_given_once_leads_on_for_ever(db: None) -> None:
    article, other = make_article(), make_article("lip-twitching")

    move(article, slug="twitching-muscles")
    move(article, slug="twitches")

    for former in ("muscle-twitching", "twitching-muscles"):
        with pytest.raises(AddressTaken):
            move(other, slug=former)
    move(article, slug="muscle-twitching")
    article.refresh_from_db()
    assert article.slug == "muscle-twitching"


def test_a_text_scheduled_earlier_does_not_replace_a_newer_live_one(db: None) -> None:
    article, by, now = make_article(), edith(), timezone.now()
    first, _ = revise(article, TEXT, by=None)
    approve(first)
    schedule(first, by=by, planned_for=now + HOUR)
    urgent, _ = revise(article, {**TEXT, "summary": "Take 5 mg at most."}, by=None)
    approve(urgent)
    publish(urgent)

    assert publish_due(now + 2 * HOUR) == 0

    article.refresh_from_db()
    assert article.live_revision == urgent
    plan = ScheduledPublication.objects.get()
    assert plan.state == "cancelled"
    assert plan.reason == "Revision 2 was published meanwhile."
    assert Delivery.objects.get().recipient.address == "edith@staff.health.example"


def test_one_plan_that_fails_holds_up_no_other(
    db: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    by, plans = edith(), []
    for slug in ("one", "two"):
        revision, _ = revise(make_article(slug), {**TEXT, "title": slug}, by=None)
        plans.append(schedule(revision, by=by, planned_for=None))
        approve(revision)

    def failing(revision: Revision, **rest: Any) -> None:
        if revision.pk == plans[0].revision_id:
            raise RuntimeError("a fault of one plan")
        publish(revision, **rest)

    monkeypatch.setattr("articles.scheduling.publish", failing)

    assert publish_due() == 1
    assert [one.state for one in ScheduledPublication.objects.order_by("pk")] == [
        "waiting",
        "published",
    ]
