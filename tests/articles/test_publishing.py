"""The live page is one signed text; nothing else gets there."""

from datetime import timedelta
from pathlib import Path
from threading import Barrier, Thread
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import connections
from django.utils import timezone

from articles import catalogue
from articles.editing import revise
from articles.loading import LIBRARY, load
from articles.models import Article, Picture, Revision, Section
from articles.publishing import (
    NotPublished,
    NotSignedOff,
    UnfilledPlace,
    publish,
    publish_unsigned,
    withdraw,
)
from articles.refusals import Refused
from review import Clinician, SignOff, sign, standing

TEXT: dict[str, Any] = {
    "title": "Muscle twitching",
    "summary": "Mostly harmless.",
    "key_points": [],
    "body": "<h2>Overview</h2><p>Take 5 mg.</p>",
    "care_cards": [],
    "references": [],
}


def make_article(slug: str = "muscle-twitching", **changes: Any) -> Article:
    section, _ = Section.objects.get_or_create(
        slug="conditions", defaults={"title": "Conditions"}
    )
    fields = {"section": section, "kind": Article.Kind.SYMPTOM, **changes}
    return Article.objects.create(slug=slug, **fields)


def approve(revision: Revision, verdict: Any = SignOff.Verdict.APPROVED) -> None:
    carla, _ = User.objects.get_or_create(username="carla")
    clinician, _ = Clinician.objects.get_or_create(
        user=carla,
        defaults={
            "name": "Carla Example",
            "credentials": "MB ChB",
            "registration": "GMC 0",
            "credential_expires_at": timezone.now() + timedelta(days=900),
        },
    )
    sign(
        revision.content,
        subject=revision.article.subject,
        by=clinician,
        authors=revision.author_ids,
        verdict=verdict,
        conflicts_of_interest="none",
        comment="Read in full.",
        valid_for=timedelta(days=365),
    )


def test_an_unsigned_text_is_not_published(db: None) -> None:
    revision, _ = revise(make_article(), TEXT, by=None)

    with pytest.raises(NotSignedOff, match="no clinician"):
        publish(revision)

    assert catalogue.published_cards() == []


def test_m1_an_edit_changes_nothing_that_readers_see(db: None) -> None:
    article = make_article()
    first, _ = revise(article, TEXT, by=None)
    approve(first)
    publish(first)

    second, made = revise(article, {**TEXT, "body": "<p>Take 50 mg.</p>"}, by=None)

    assert made
    assert standing(article.subject, second.digest).publishable is False
    article.refresh_from_db()
    assert article.live_revision == first
    with pytest.raises(NotSignedOff):
        publish(second)


def test_m1_saving_without_a_change_makes_no_revision(db: None) -> None:
    article = make_article()
    first, _ = revise(article, TEXT, by=None)

    again, made = revise(article, dict(first.content), by=None)

    assert (again.pk, made) == (first.pk, False)


def test_a_retracted_text_is_not_published(db: None) -> None:
    revision, _ = revise(make_article(), TEXT, by=None)
    approve(revision)
    approve(revision, SignOff.Verdict.RETRACTED)

    with pytest.raises(NotSignedOff, match="took the approval back"):
        publish(revision)


def test_what_is_approved_is_not_published_as_unsigned(db: None) -> None:
    """Readers would be told that nobody approved it."""
    boss = User.objects.create(username="boss", is_superuser=True)
    revision, _ = revise(make_article(), TEXT, by=None)
    approve(revision)

    with pytest.raises(Refused, match="publish it the ordinary way"):
        publish_unsigned(revision, by=boss, reason="In a hurry.")

    assert catalogue.published_cards() == []


def test_a_withdrawn_article_says_why_and_can_come_back(db: None) -> None:
    article = make_article()
    revision, _ = revise(article, TEXT, by=None)
    approve(revision)
    publish(revision)

    withdraw(article, reason="The advice changed.")

    article.refresh_from_db()
    assert not article.is_published()
    assert article.withdrawn_reason == "The advice changed."
    with pytest.raises(NotPublished):
        withdraw(article, reason="again")
    publish(revision)
    article.refresh_from_db()
    assert article.is_published()


def test_a_policy_with_an_unfilled_place_is_not_published(db: None) -> None:
    policy = make_article("terms", kind=Article.Kind.POLICY, section=None)
    unfilled = {**TEXT, "body": "<p>Run by {{operator: legal name}}.</p>"}
    revision, _ = revise(policy, unfilled, by=None)

    with pytest.raises(UnfilledPlace):
        publish(revision)

    filled, _ = revise(policy, {**TEXT, "body": "<p>Run by Example Ltd.</p>"}, by=None)
    publish(filled)
    assert catalogue.live_revision_ids(["terms"]) == {"terms": filled.pk}


def test_two_editors_saving_at_once_get_a_number_each(cloned_database: str) -> None:
    article = make_article()
    start = Barrier(2)

    def save(dose: int) -> None:
        start.wait()
        revise(article, {**TEXT, "body": f"<p>{dose} mg</p>"}, by=None)
        connections.close_all()

    threads = [Thread(target=save, args=[dose]) for dose in (5, 50)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert [one.number for one in article.revisions.order_by("number")] == [1, 2]


def test_the_library_loads_once_and_awaits_review(db: None) -> None:
    first = list(load())
    again = list(load())

    assert len(first) == len(list(LIBRARY.glob("*.md")))
    assert all(made for _, made in first)
    assert not any(made for _, made in again)
    assert Picture.objects.count() == len(list((LIBRARY / "figures").glob("*.svg")))
    assert catalogue.published_cards() == []


def test_the_library_leaves_an_editors_text_alone(db: None) -> None:
    list(load())
    article = Article.objects.get(slug="muscle-twitching")
    edith = User.objects.create(username="edith")
    mine, _ = revise(article, TEXT, by=edith)

    list(load())

    newest = article.revisions.order_by("-number")[0]
    assert newest.pk == mine.pk


def test_a_changed_file_makes_a_new_revision(db: None, tmp_path: Path) -> None:
    source = "+++\ntitle='T'\nsummary='S'\nsection='plan'\nkind='guide'\n+++\n"
    (tmp_path / "guide.md").write_text(source + "## Overview\n\nOne.\n")
    list(load(tmp_path))
    (tmp_path / "guide.md").write_text(source + "## Overview\n\nTwo.\n")

    ((revision, made),) = load(tmp_path)

    assert (revision.number, made) == (2, True)
