from typing import Any

from django.conf import settings
from django.contrib.syndication.views import Feed
from django.http import HttpRequest
from django.shortcuts import get_object_or_404
from django.template.loader import render_to_string
from django.urls import reverse
from django.utils.feedgenerator import Atom1Feed

from articles.models import Article, Section
from articles.presenting import review_line


class SectionFeed(Feed):  # type: ignore[type-arg]
    """A section's articles as Atom (RFC 4287), newest first."""

    feed_type = Atom1Feed

    def get_object(self, request: HttpRequest, slug: str) -> Section:
        return get_object_or_404(Section, slug=slug)

    def title(self, section: Section) -> str:
        return f"{section.title} – {settings.SITE_NAME}"

    def link(self, section: Section) -> str:
        return reverse("articles:section", args=[section.slug])

    def subtitle(self, section: Section) -> str:
        return section.introduction

    def items(self, section: Section) -> Any:
        published = Article.objects.published().medical().filter(section=section)
        return published.select_related("live_revision__article").order_by(
            "-published_at"
        )[:50]

    def item_title(self, item: Article) -> str:
        assert item.live_revision is not None, "published() asks for it"  # noqa: S101
        return item.live_revision.title

    def item_description(self, item: Article) -> str:
        assert item.live_revision is not None, "published() asks for it"  # noqa: S101
        line = render_to_string(
            "review/includes/review_line.txt",
            {"standing": review_line(item.live_revision)},
        )
        return f"{item.live_revision.content['summary']} {line.strip()}"

    def item_updateddate(self, item: Article) -> Any:
        return item.published_at

    def item_pubdate(self, item: Article) -> Any:
        return item.first_published_at
