"""What a page tells machines about itself, in schema.org's words (JSON-LD)."""

import json
from typing import TYPE_CHECKING, Any

from django.conf import settings
from django.urls import reverse
from django.utils.safestring import SafeString, mark_safe

from articles.models import Article

if TYPE_CHECKING:
    from review import ReviewLine

ABOUT = {
    Article.Kind.CONDITION: "MedicalCondition",
    Article.Kind.SYMPTOM: "MedicalSignOrSymptom",
    Article.Kind.ANATOMY: "AnatomicalStructure",
}
# What a kind of page is besides a page; Article is no WebPage in schema.org's words.
TYPES: dict[str, str | list[str]] = {
    Article.Kind.POLICY: "AboutPage",
    Article.Kind.NEWS: ["MedicalWebPage", "Article"],
}
# Characters that would end the script element or begin another one.
ESCAPES = {ord("<"): "\\u003c", ord(">"): "\\u003e", ord("&"): "\\u0026"}


def json_ld(
    article: Article, content: dict[str, Any], line: "ReviewLine | None"
) -> SafeString:
    """The page's JSON-LD. `reviewedBy` and `lastReviewed` follow from the standing.

    They say what the page prints, or nothing: an overdue, demonstration or unsigned
    text makes no claim to machines.
    """
    url = f"{settings.SITE_URL}{article.get_absolute_url()}"
    facts: dict[str, Any] = {
        "@context": "https://schema.org",
        "@type": TYPES.get(article.kind, "MedicalWebPage"),
        "@id": url,
        "url": url,
        "name": content["title"],
        "description": content["summary"],
        "inLanguage": "en-GB",
        "isAccessibleForFree": True,
        "publisher": {
            "@type": "Organization",
            "name": settings.SITE_NAME,
            "url": f"{settings.SITE_URL}/",
        },
        "breadcrumb": _breadcrumb(article),
    }
    if article.kind == Article.Kind.NEWS:
        facts["headline"] = content["title"]
    if article.first_published_at and article.published_at:
        facts["datePublished"] = article.first_published_at.date().isoformat()
        facts["dateModified"] = article.published_at.date().isoformat()
    if about := ABOUT.get(Article.Kind(article.kind)):
        facts["about"] = {"@type": about, "name": content["title"]}
        if article.aliases:
            facts["about"]["alternateName"] = article.aliases
    if line and line.is_claim and line.reviewed_on:
        facts["lastReviewed"] = line.reviewed_on.isoformat()
        facts["reviewedBy"] = {
            "@type": "Person",
            "name": line.signer_name,
            "description": line.signer_credentials,
        }
    text = json.dumps(facts, ensure_ascii=False, indent=1).translate(ESCAPES)
    return mark_safe(text)  # noqa: S308 - nothing in it can close the element


def _breadcrumb(article: Article) -> dict[str, Any]:
    """The links above the title, as the page shows them."""
    links = [("Home", "/")]
    if article.section:
        address = reverse("articles:section", args=[article.section.slug])
        links.append((article.section.title, address))
    elif article.kind == Article.Kind.POLICY:
        links.append(("About this site", "/about/"))
    return {
        "@type": "BreadcrumbList",
        "itemListElement": [
            {
                "@type": "ListItem",
                "position": position,
                "name": name,
                "item": f"{settings.SITE_URL}{address}",
            }
            for position, (name, address) in enumerate(links, 1)
        ],
    }
