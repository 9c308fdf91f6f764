"""What stands around a text is saved by itself: nothing else changes with it."""

from pathlib import Path
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse
from pytest_django import Settings

from articles.admin import ArticleForm
from articles.editing import revise, start_draft
from articles.models import Article, Section
from articles.publishing import publish, withdraw
from review import admin_url
from tests.articles.test_desk import browser, filled
from tests.articles.test_publishing import TEXT, approve, make_article
from tests.people import carla, edith, person


@pytest.fixture
def desk(db: None, settings: Settings, tmp_path: Path) -> Client:
    settings.STATIC_ROOT = tmp_path
    return browser(edith())


def live_article() -> Article:
    article = make_article()
    revision, _ = revise(article, TEXT, by=None)
    approve(revision)
    publish(revision)
    return article


def furnished(article: Article, **changes: Any) -> dict[str, Any]:
    empty = {"aliases": "", "codes": "", "read_next": ""}
    return {"section": article.section_id, **empty, **changes}


def test_a_withdrawal_outlives_a_form_that_was_saved_meanwhile(
    desk: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    article = live_article()
    clean = ArticleForm.clean

    def after_a_withdrawal(form: ArticleForm) -> dict[str, Any]:
        withdraw(Article.objects.get(pk=article.pk), reason="Dangerous.")
        return clean(form)

    monkeypatch.setattr(ArticleForm, "clean", after_a_withdrawal)
    url = reverse("admin:articles_article_change", args=[article.pk])

    desk.post(url, furnished(article, aliases="twitches"))

    article.refresh_from_db()
    assert article.aliases == ["twitches"]
    assert article.live_revision is None
    assert article.withdrawn_reason == "Dangerous."


def test_a_form_without_a_change_writes_nothing(desk: Client) -> None:
    article = live_article()
    url = reverse("admin:articles_article_change", args=[article.pk])

    assert desk.post(url, furnished(article)).status_code == 302


def test_what_to_read_next_must_exist(desk: Client) -> None:
    article = live_article()
    make_article("lip-twitching")
    url = reverse("admin:articles_article_change", args=[article.pk])

    refused = desk.post(url, furnished(article, read_next="lip-twitching,lips"))
    assert "There is no article at lips" in refused.content.decode()

    desk.post(url, furnished(article, read_next="lip-twitching"))
    article.refresh_from_db()
    assert article.read_next == ["lip-twitching"]


CLAIMED = (
    *("Medically reviewed.", "Checked by Carla Example MB ChB", "APPROVED text"),
    *("Rev\u200biewed by Dr X", "Fact-checked", "\uff32eviewed", "vetted by experts"),
)


def places(article: Article) -> dict[str, tuple[str, dict[str, Any], str]]:
    """Where readers see words that no signature covers: address, form, the field."""
    verb = "admin:articles_article_verb"
    plan = Section.objects.create(slug="plan", title="Plan")
    section = reverse("admin:articles_section_change", args=[plan.pk])
    of_section = {"title": "Plan", "introduction": "", "position": 1}
    draft = start_draft(article, by=edith())
    (revision,) = article.revisions.all()
    unsigned = [revision.pk, "publish-unsigned"]
    return {
        "byline": (admin_url(draft), filled("_save"), "byline"),
        "withdrawal": (reverse(verb, args=[article.pk, "withdraw"]), {}, "reason"),
        "correction": (reverse(verb, args=[article.pk, "correct"]), {}, "note"),
        "unsigned": (
            reverse("admin:articles_revision_verb", args=unsigned),
            {},
            "reason",
        ),
        "aliases": (admin_url(article), furnished(article), "aliases"),
        "section's title": (section, of_section, "title"),
        "introduction": (section, of_section, "introduction"),
    }


@pytest.mark.parametrize("claim", CLAIMED)
def test_m1_nothing_around_a_text_claims_a_review(desk: Client, claim: str) -> None:
    article = live_article()
    boss = browser(person("boss", is_superuser=True))
    before = Article.objects.values().get()

    for place, (url, sent, field) in places(article).items():
        page = boss.post(url, {**sent, field: claim}).content.decode()
        assert "said by a clinician’s signature alone" in page, place

    assert Article.objects.values().get() == before
    assert set(Section.objects.values_list("introduction", flat=True)) == {""}
    assert article.events.count() == 1
    assert article.revisions.count() == 1


@pytest.mark.parametrize("alias", ["medically unexplained symptoms", "tics"])
def test_what_claims_nothing_may_be_an_alias(desk: Client, alias: str) -> None:
    article = live_article()

    desk.post(admin_url(article), furnished(article, aliases=alias))

    article.refresh_from_db()
    assert article.aliases == [alias]


def test_a_clinician_keeps_the_account_they_were_made_with(desk: Client) -> None:
    doctor = carla()
    other = person("carla2", "clinician")
    url = reverse("admin:review_clinician_change", args=[doctor.pk])

    browser(person("oscar", "operator")).post(
        url,
        {
            "user": other.pk,
            "name": "Carla Married",
            "credentials": doctor.credentials,
            "registration": doctor.registration,
            "credential_expires_at_0": "2036-01-01",
            "credential_expires_at_1": "00:00",
        },
    )

    before = doctor.user
    doctor.refresh_from_db()
    assert (doctor.name, doctor.user) == ("Carla Married", before)
