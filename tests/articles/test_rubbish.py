"""Whatever arrives at a desk is answered; a slip of the keyboard breaks no page."""

from pathlib import Path

import pytest
from django.test import Client
from django.urls import reverse
from pytest_django import Settings

from articles.editing import revise, start_draft
from articles.models import Article, Draft
from articles.submitting import submit
from tests.articles.test_desk import browser, filled
from tests.articles.test_publishing import TEXT, make_article
from tests.people import carla, edith

BIG = "9" * 5000
VERDICT = {"verdict": "approved", "conflicts_of_interest": "none", "months": "12"}


@pytest.fixture
def desk(db: None, settings: Settings, tmp_path: Path) -> Client:
    settings.STATIC_ROOT = tmp_path
    return browser(edith())


@pytest.mark.parametrize("slug", ["a" * 51, "Upper_Case", "a_b", "-a", "a--b", "Ä", ""])
def test_an_unfit_address_is_refused_in_a_sentence(desk: Client, slug: str) -> None:
    article = make_article()
    move = reverse("admin:articles_article_verb", args=[article.pk, "move"])

    moved = desk.post(move, {"slug": slug})
    made = desk.post(
        reverse("admin:articles_article_add"),
        {"slug": slug, "kind": "symptom", "section": article.section_id},
    )

    for answer in (moved, made):
        assert answer.status_code == 200
        assert 'class="errorlist"' in answer.content.decode()
    assert [one.slug for one in Article.objects.all()] == ["muscle-twitching"]


@pytest.mark.parametrize(
    "minute", ["9999-12-31T23:59", "0001-01-01T00:00", "2030-02-30T00:00", "x\0"]
)
def test_a_minute_out_of_this_world_is_refused(desk: Client, minute: str) -> None:
    revision, _ = revise(make_article(), TEXT, by=None)
    url = reverse("admin:articles_revision_verb", args=[revision.pk, "schedule"])

    answer = desk.post(url, {"planned_for": minute})

    assert answer.status_code == 200
    assert 'class="errorlist"' in answer.content.decode()


@pytest.mark.parametrize("pk", [BIG, "9" * 30, "\u0663", "x", "-1"])
def test_a_number_that_is_no_id_finds_nothing(desk: Client, pk: str) -> None:
    doctor = carla()
    revision, _ = revise(make_article(), TEXT, by=None)
    waiting = submit(revision, by=edith())
    together = reverse("admin:review_reviewrequest_together")
    carlas = browser(doctor.user)

    assert carlas.get(f"{together}?id={pk}").status_code == 200
    ticked = carlas.post(f"{together}?id={waiting.pk}", {"sign": f"{pk}-x", **VERDICT})
    assert ticked.status_code == 200
    assert desk.get(f"/admin/articles/draft/{pk}/change/").status_code == 404


@pytest.mark.parametrize("numbers", [BIG, "9" * 20, "1000", "0", "1, " * 21, "1;2"])
def test_no_card_cites_what_no_list_can_hold(desk: Client, numbers: str) -> None:
    draft = start_draft(make_article(), by=edith())
    url = reverse("admin:articles_draft_change", args=[draft.pk])

    answer = desk.post(url, filled("_save", **{"care-0-cites": numbers}))

    assert answer.status_code == 200
    assert "Write numbers with commas" in answer.content.decode()


@pytest.mark.parametrize("number", [BIG, "9" * 20])
def test_a_reference_has_a_number_that_can_be_signed(desk: Client, number: str) -> None:
    draft = start_draft(make_article(), by=edith())
    url = reverse("admin:articles_draft_change", args=[draft.pk])
    sent = {
        "references-TOTAL_FORMS": "1",
        "references-0-number": number,
        "references-0-title": "x",
    }

    assert desk.post(url, filled("_save", **sent)).status_code == 200
    assert Draft.objects.exists()


@pytest.mark.parametrize(
    "path",
    [
        *("articles/article/?kind__exact=%00", "articles/article/?q=%00"),
        *("articles/revision/?article__id__exact=%00", "review/signoff/?q=a%00b"),
        *("review/reviewrequest/?state__exact=%00", "review/reviewrequest/?id=%00"),
    ],
)
def test_a_nul_in_an_address_is_no_question(desk: Client, path: str) -> None:
    answer = desk.get(f"/admin/{path}")

    assert answer.status_code == 400
    assert "We could not read that request" in answer.content.decode()
