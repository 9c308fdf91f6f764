"""The review record: what readers may see of clinicians' verdicts."""

from pathlib import Path

import pytest
from django.test import Client
from pytest_django import Settings

from articles.editing import revise
from articles.models import Article
from articles.publishing import publish
from articles.submitting import submit
from review import ReviewRequest, SignOff
from tests.articles.test_publishing import TEXT, approve, make_article
from tests.people import edith

RECORD = "/articles/muscle-twitching/review/"


@pytest.fixture
def reader(db: None, settings: Settings, tmp_path: Path) -> Client:
    settings.STATIC_ROOT = tmp_path
    return Client(headers={"X-Forwarded-Proto": "https"})


@pytest.fixture
def article(db: None) -> Article:
    """Live with its first text, which Carla approved."""
    made = make_article()
    revision, _ = revise(made, TEXT, by=None)
    approve(revision)
    publish(revision)
    return made


def test_a_remark_on_a_draft_that_never_went_out_is_nobodys_business(
    reader: Client, article: Article
) -> None:
    draft, _ = revise(article, {**TEXT, "summary": "Nonsense."}, by=None)
    approve(draft, SignOff.Verdict.CHANGES_REQUESTED)

    page = reader.get(RECORD).content.decode()

    assert page.count('class="record"') == 1
    assert draft.digest not in page
    for ending in (".json", "/"):
        assert reader.get(f"{RECORD}{draft.digest}{ending}").status_code == 404


def test_an_approved_text_that_still_waits_is_not_shown_early(
    reader: Client, article: Article
) -> None:
    waiting, _ = revise(article, {**TEXT, "summary": "For Friday."}, by=None)
    approve(waiting)

    assert waiting.digest not in reader.get(RECORD).content.decode()

    publish(waiting)
    changes = reader.get(f"{RECORD}{waiting.digest}/").content.decode()
    assert "Friday" in changes


def test_a_request_for_an_older_text_says_that_a_newer_one_exists(
    article: Article,
) -> None:
    first = article.revisions.get(number=1)
    revise(article, {**TEXT, "summary": "Newer."}, by=None)

    submit(first, by=edith())

    assert ReviewRequest.objects.get().newer_text_at is not None
