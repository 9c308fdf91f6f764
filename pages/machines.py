"""What programs ask a site for: where its pages are, and what they may fetch."""

from dataclasses import dataclass
from datetime import date

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from articles import catalogue
from articles.catalogue import Card

# They stand for a person's own step, or show nothing to whom no link was mailed.
NOT_FOR_ROBOTS = (
    "/admin/",
    "/newsletter/confirm/",
    "/newsletter/move/",
    "/newsletter/preferences/",
    "/newsletter/unsubscribe/",
)


@require_safe
def robots(request: HttpRequest) -> HttpResponse:
    """RFC 9309. Everybody may read everything that is meant to be read."""
    lines = ["User-agent: *", *(f"Disallow: {path}" for path in NOT_FOR_ROBOTS)]
    text = "\n".join([*lines, "", f"Sitemap: {settings.SITE_URL}/sitemap.xml", ""])
    return HttpResponse(text, content_type="text/plain; charset=utf-8")


@dataclass(frozen=True)
class Place:
    """An address of the sitemap, and since when it reads as it does, if known."""

    path: str
    changed_on: date | None = None


@require_safe
def sitemap(request: HttpRequest) -> HttpResponse:
    """sitemaps.org 0.9: every public page once."""
    return render(
        request,
        "pages/sitemap.xml",
        {"places": places()},
        content_type="application/xml; charset=utf-8",
    )


def places() -> list[Place]:
    """Every public page."""
    cards = [*catalogue.published_cards(), *catalogue.policy_cards()]
    fixed = ("/", "/about/", "/newsletter/", "/newsletter/archive/", "/trust/")
    return [
        *(Place(path) for path in fixed),
        *(Place(one.url) for one in catalogue.departments()),
        *(Place(one.url, one.changed_on) for one in cards),
    ]


@dataclass(frozen=True)
class Shelf:
    """A section of llms.txt."""

    title: str
    cards: list[Card]


@require_safe
def llms(request: HttpRequest) -> HttpResponse:
    """llmstxt.org: what is here, in Markdown, with each page's Markdown twin."""
    shelves = [
        Shelf(one.title, catalogue.published_cards(one.slug))
        for one in catalogue.departments()
    ]
    context = {
        "shelves": [one for one in shelves if one.cards],
        "policies": catalogue.policies(),
    }
    return render(
        request, "pages/llms.txt", context, content_type="text/plain; charset=utf-8"
    )
