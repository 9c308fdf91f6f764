"""What the article's template gets to see; the stored body is printed as it is."""

import re
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from django.conf import settings
from django.urls import reverse
from django.utils.safestring import SafeString, mark_safe

from articles import catalogue
from articles.content import contents
from articles.models import Article, Revision
from review import SignOff, standing

MACHINE_ASSISTED = "Drafted with machine assistance."


@dataclass(frozen=True)
class ReviewLine:
    """A standing as a reader sees it. Names stand only where an approval holds."""

    state: str
    demonstration: bool
    signer_name: str
    signer_credentials: str
    reviewed_on: date | None
    next_review_due: date | None
    since: date | None
    record_url: str


def review_line(revision: Revision, at: datetime | None = None) -> ReviewLine:
    found = standing(revision.digest, at)
    sign_off = found.sign_off
    url = reverse("articles:review-record", args=[revision.article.slug])
    return ReviewLine(
        state=found.state.name.lower(),
        demonstration=bool(sign_off and sign_off.demonstration),
        signer_name=sign_off.signer_name if sign_off else "",
        signer_credentials=sign_off.signer_credentials if sign_off else "",
        reviewed_on=sign_off.signed_at.date() if sign_off else None,
        next_review_due=sign_off.valid_until.date() if sign_off else None,
        since=found.since.date() if found.since else None,
        record_url=url if sign_off else "",
    )


def page(article: Article, revision: Revision) -> dict[str, Any]:
    """The context `page` of articles/article.html."""
    content = revision.content
    is_policy = article.kind == Article.Kind.POLICY
    body = str(content["body"])
    return {
        **content,
        "body": _safe(body),
        "contents": contents(body),
        "references": _references(content.get("references", []), body),
        "read_next": catalogue.cards(article.read_next),
        "section": _section(article),
        "url": article.get_absolute_url(),
        "authors": revision.byline,
        "drafting_note": MACHINE_ASSISTED if revision.machine_assisted else "",
        "is_policy": is_policy,
        "published_on": article.published_at,
        "standing": None if is_policy else review_line(revision),
        "contact_email": settings.CONTACT_EMAIL,
    }


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


def _section(article: Article) -> dict[str, str] | None:
    if article.section is None:
        return None
    url = reverse("articles:section", args=[article.section.slug])
    return {"title": article.section.title, "url": url}


def verdicts(article: Article) -> list[dict[str, Any]]:
    """Every verdict ever given on any text of the article, newest first."""
    given = SignOff.objects.filter(subject=article.subject).order_by("-signed_at")
    if not settings.DEMO:
        given = given.filter(demonstration=False)
    return [
        {
            "verdict": one.verdict,
            "signer_name": one.signer_name,
            "signer_credentials": one.signer_credentials,
            "signed_on": one.signed_at.date(),
            "valid_until": one.valid_until.date(),
            "comment": one.comment,
            "conflicts": one.conflicts_of_interest,
            "digest": one.digest,
            "demonstration": one.demonstration,
        }
        for one in given
    ]
