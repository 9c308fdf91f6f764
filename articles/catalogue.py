"""All that other apps may ask of articles."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path
from typing import Any

from django.contrib.auth.models import User
from django.db.models.fields.json import KeyTextTransform
from django.db.models.functions import Lower
from django.urls import reverse

from articles import library_files, loading
from articles.models import Article, Revision, Section
from review import Standing, standings


@dataclass(frozen=True)
class Card:
    """What a list shows of a published article."""

    slug: str
    title: str
    url: str
    summary: str
    section_title: str
    # What programs read instead; "" where there is none.
    markdown_url: str
    # Since when readers get this text.
    changed_on: date


def card(article: Article) -> Card:
    """Needs `live_revision` and `section` selected along."""
    live, since = article.live_revision, article.published_at
    if live is None or since is None:
        raise ValueError(f"{article} is not published: it has no card")
    content = live.content
    return Card(
        slug=article.slug,
        title=content["title"],
        url=article.get_absolute_url(),
        summary=content["summary"],
        section_title=article.section.title if article.section else "",
        markdown_url=markdown_url(article),
        changed_on=since.date(),
    )


def markdown_url(article: Article) -> str:
    if article.kind == Article.Kind.POLICY:
        return ""
    return reverse("articles:markdown", args=[article.slug])


def published_cards(section_slug: str | None = None) -> list[Card]:
    """Published medical articles by title, of one section or of all."""
    articles = Article.objects.published().medical()
    if section_slug:
        articles = articles.filter(section__slug=section_slug)
    chosen = articles.select_related("live_revision", "section")
    return sorted((card(one) for one in chosen), key=lambda one: one.title.lower())


def policy_cards() -> list[Card]:
    """The policies that are published, by title."""
    policies = Article.objects.published().filter(kind=Article.Kind.POLICY)
    chosen = policies.select_related("live_revision", "section")
    return sorted((card(one) for one in chosen), key=lambda one: one.title.lower())


def cards(slugs: list[str]) -> list[Card]:
    """Cards of those `slugs` that are published, in the order asked for."""
    found = Article.objects.published().filter(slug__in=slugs)
    by_slug = {
        one.slug: one for one in found.select_related("live_revision", "section")
    }
    return [card(by_slug[slug]) for slug in slugs if slug in by_slug]


def live_standings(
    slugs: Collection[str], at: datetime | None = None
) -> dict[str, Standing]:
    """The standing of the very text that readers get, for those on the site."""
    published = Article.objects.published(at).filter(slug__in=slugs)
    texts = {one.slug: _text(one) for one in published.select_related("live_revision")}
    found = standings(list(texts.values()), at)
    return {slug: found[text] for slug, text in texts.items()}


def live_revision_ids(slugs: list[str]) -> dict[str, int]:
    """The live revisions' ids of those `slugs` that are published.

    A consent to the Terms refers to one.
    """
    published = Article.objects.published().filter(slug__in=slugs)
    return dict(published.values_list("slug", "live_revision_id"))


@dataclass(frozen=True)
class KeptText:
    """One text of an article or a policy, on the site or long replaced."""

    revision_id: int
    title: str
    number: int
    digest: str
    # Of what the row says now; another one than `digest` where somebody changed it.
    recomputed: str
    url: str
    is_live: bool
    saved_at: datetime
    content: dict[str, Any]


def kept_texts(revision_ids: Collection[int]) -> dict[int, KeptText]:
    """The texts of these revisions, by their ids: what consents refer to."""
    found = Revision.objects.filter(pk__in=revision_ids).select_related("article")
    return {
        one.pk: KeptText(
            revision_id=one.pk,
            title=one.title,
            number=one.number,
            digest=one.digest,
            recomputed=one.text_digest(),
            url=one.article.get_absolute_url(),
            is_live=one.article.live_revision_id == one.pk,
            saved_at=one.created_at,
            content=one.content,
        )
        for one in found
    }


@dataclass(frozen=True)
class UnsignedPage:
    """A page whose live text no clinician approved, and why it is there."""

    title: str
    url: str
    reason: str
    published_on: date | None


def unsigned_pages() -> list[UnsignedPage]:
    """What was published without an approval and still has none, newest first."""
    chosen = Article.objects.published().exclude(unsigned_reason="")
    articles = chosen.select_related("live_revision", "section")
    by_text = {_text(one): one for one in articles.order_by("-published_at")}
    found = standings(by_text.keys())
    return [
        UnsignedPage(
            title=card(one).title,
            url=one.get_absolute_url(),
            reason=one.unsigned_reason,
            published_on=one.published_at.date() if one.published_at else None,
        )
        for text, one in by_text.items()
        if not found[text].publishable
    ]


def _text(article: Article) -> tuple[str, str]:
    """Subject and digest of the very text that readers get."""
    assert article.live_revision is not None, "only published articles have one"  # noqa: S101
    return article.subject, article.live_revision.text_digest()


@dataclass(frozen=True)
class Link:
    title: str
    url: str


@dataclass(frozen=True)
class Department(Link):
    """A section as a way in."""

    slug: str
    introduction: str
    feed_url: str


def departments() -> list[Department]:
    """The sections in their order."""
    return [
        Department(
            title=one.title,
            url=reverse("articles:section", args=[one.slug]),
            slug=one.slug,
            introduction=one.introduction,
            feed_url=reverse("articles:feed", args=[one.slug]),
        )
        for one in Section.objects.all()
    ]


def policies() -> list[Link]:
    """The policies that are published, by title. Every page asks: no text is read."""
    title = KeyTextTransform("title", "live_revision__content")
    published = Article.objects.published().filter(kind=Article.Kind.POLICY)
    found = published.annotate(live_title=title).order_by(Lower("live_title"))
    return [
        Link(name, reverse("articles:policy", args=[slug]))
        for name, slug in found.values_list("live_title", "slug")
    ]


def library_author() -> User:
    """The account under which library texts were written."""
    return loading.library_author()


def what_became(loaded: tuple[Any, bool] | None) -> str:
    """What loading did to a library text, in words."""
    return loading.what_became(loaded)


def split_library_file(path: Path) -> tuple[dict[str, Any], str]:
    """Front matter and Markdown of a library file. Raises ValueError."""
    return library_files.split(path)
