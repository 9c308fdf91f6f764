"""What the articles' templates get to see; the stored body is printed as it is."""

import re
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from django.conf import settings
from django.urls import reverse
from django.utils.safestring import SafeString, mark_safe

from articles import catalogue
from articles.content import contents
from articles.models import Article, PublishingEvent, Revision
from articles.structured import json_ld
from review import ReviewLine, Standing, line_of, standings

MACHINE_ASSISTED = "Drafted with machine assistance."


def review_line(revision: Revision, at: datetime | None = None) -> ReviewLine:
    """The standing of the very text in `revision`, whatever its row says of itself."""
    (line,) = review_lines([revision], at)
    return line


def review_lines(
    revisions: Sequence[Revision], at: datetime | None = None
) -> list[ReviewLine]:
    """`review_line` of each, by one query; needs `article` selected along."""
    pairs = [(one.article.subject, one.text_digest()) for one in revisions]
    found = standings(pairs, at)
    return [_line(one, found[pair]) for one, pair in zip(revisions, pairs, strict=True)]


def _line(revision: Revision, found: Standing) -> ReviewLine:
    return line_of(
        found,
        record_url=record_url(revision.article),
        unsigned_reason=_unsigned_reason(revision, found.publishable),
    )


def _unsigned_reason(revision: Revision, publishable: bool) -> str:
    """Why the live text went out without an approval, unless it has one by now."""
    is_live = revision.article.live_revision_id == revision.pk
    return revision.article.unsigned_reason if is_live and not publishable else ""


def page(
    article: Article,
    revision: Revision,
    *,
    at: datetime | None = None,
    preview: bool = False,
) -> dict[str, Any]:
    """The context `page` of articles/article.html and articles/article.md."""
    content = revision.content
    is_policy = article.kind == Article.Kind.POLICY
    body = str(content["body"])
    line = None if is_policy else review_line(revision, at)
    return {
        **content,
        "body": _safe(body),
        "contents": contents(body),
        "references": _references(content.get("references", []), body),
        "read_next": catalogue.cards(article.read_next),
        "section": section_link(article),
        "url": article.get_absolute_url(),
        "markdown_url": catalogue.markdown_url(article),
        "authors": revision.byline,
        "drafting_note": MACHINE_ASSISTED if revision.machine_assisted else "",
        "is_policy": is_policy,
        "is_preview": preview,
        "published_on": article.published_at,
        "standing": line,
        "correction_notes": correction_notes(article),
        "json_ld": None if preview else json_ld(article, content, line),
        "contact_email": settings.CONTACT_EMAIL,
    }


def record_url(article: Article) -> str:
    return reverse("articles:review-record", args=[article.slug])


def correction_notes(article: Article) -> list[dict[str, Any]]:
    """Dated notes, newest first: {on, text}."""
    notes = article.events.filter(act=PublishingEvent.Act.CORRECTED)
    return [{"on": one.occurred_at.date(), "text": one.text} for one in notes]


def _safe(body: str) -> SafeString:
    """The body was sanitised when the revision was made (articles.content)."""
    return mark_safe(body)  # noqa: S308


def _references(references: list[dict[str, Any]], body: str) -> list[dict[str, Any]]:
    return [
        {
            **one,
            "id": f"ref-{one['number']}",
            "backlinks": re.findall(rf'id="(cite-{one["number"]}-\d+)"', body),
        }
        for one in references
    ]


def section_link(article: Article) -> dict[str, str] | None:
    if article.section is None:
        return None
    url = reverse("articles:section", args=[article.section.slug])
    return {"title": article.section.title, "url": url}
