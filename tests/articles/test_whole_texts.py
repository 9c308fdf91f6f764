"""A live row that somebody altered breaks no list and lends no badge."""

import pytest
from django.db import IntegrityError
from django.http import Http404

from articles import catalogue, views
from articles.editing import revise
from articles.models import Article
from tests.articles.signed_page import (
    SLUG,
    TEXT,
    asking,
    feed,
    html,
    markdown,
    open_site,
)
from tests.articles.test_m1_badge import own_database, superuser
from tests.tampering import tamper

__all__ = ["own_database", "superuser"]

ALTERED = [
    *("content - 'title'", "content - 'body'", "content - 'references'"),
    *("jsonb_set(content, '{title}', '5')", "jsonb_set(content, '{body}', 'null')"),
    *("'[]'", "'{}'", "'5'", "'null'", '\'["title", "summary", "body"]\''),
]


@pytest.mark.parametrize("content", ALTERED)
def test_a_text_that_lost_a_part_is_left_out(superuser: None, content: str) -> None:
    site = open_site()
    tamper(f"UPDATE articles_revision SET content = {content}")  # noqa: S608

    article = Article.objects.get(pk=site.article.pk)
    assert not article.is_published()
    assert not Article.objects.published().exists()
    assert catalogue.published_cards() == []
    assert catalogue.cards([SLUG]) == []
    assert SLUG not in feed()
    for page in (html, markdown):
        with pytest.raises(Http404):
            page()


def test_an_article_shows_no_others_text(superuser: None) -> None:
    site = open_site()
    other = Article.objects.create(
        slug="other", section=site.article.section, kind="symptom"
    )
    revise(other, {**TEXT, "title": "Other"}, by=site.edith)
    tamper("UPDATE articles_article SET live_revision_id = NULL WHERE slug = %s", SLUG)
    tamper(
        "UPDATE articles_article SET live_revision_id = %s, published_at = now() "
        "WHERE slug = 'other'",
        site.live.pk,
    )

    assert not Article.objects.published().exists()
    assert not Article.objects.get(slug="other").is_published()
    with pytest.raises(Http404):
        views.article(asking(), "other")


def test_the_database_refuses_another_articles_text(superuser: None) -> None:
    site = open_site()
    other = Article.objects.create(
        slug="other", section=site.article.section, kind="symptom"
    )
    foreign, _ = revise(other, TEXT, by=site.edith)

    with pytest.raises(IntegrityError, match="live_revision_is_its_own"):
        Article.objects.filter(pk=site.article.pk).update(live_revision=foreign)
