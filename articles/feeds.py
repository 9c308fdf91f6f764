from typing import Any

from django.conf import settings
from django.contrib.syndication.views import Feed
from django.http import HttpRequest
from django.shortcuts import get_object_or_404
from django.template.loader import render_to_string
from django.urls import reverse
from django.utils.feedgenerator import Atom1Feed

from articles.cleaning import tidy
from articles.models import Article, Revision, Section
from articles.presenting import review_lines
from review import ReviewLine

Item = tuple[Revision, ReviewLine]


class SectionFeed(Feed):  # type: ignore[type-arg]
    """A section's articles as Atom (RFC 4287), newest first."""

    feed_type = Atom1Feed

    def get_object(self, request: HttpRequest, slug: str) -> Section:
        return get_object_or_404(Section, slug=slug)

    def title(self, section: Section) -> str:
        return f"{tidy(section.title)} – {settings.SITE_NAME}"

    def link(self, section: Section) -> str:
        return reverse("articles:section", args=[section.slug])

    def subtitle(self, section: Section) -> str:
        return tidy(section.introduction)

    def items(self, section: Section) -> Any:
        published = Article.objects.published().medical().filter(section=section)
        chosen = published.select_related("live_revision__article").order_by(
            "-published_at"
        )
        texts = [one.live_revision for one in chosen[:50] if one.live_revision]
        return list(zip(texts, review_lines(texts), strict=True))

    def item_title(self, item: Item) -> str:
        return item[0].title

    def item_link(self, item: Item) -> str:
        return item[0].article.get_absolute_url()

    def item_description(self, item: Item) -> str:
        text, standing = item
        line = render_to_string(
            "review/includes/review_line.txt", {"standing": standing}
        )
        return f"{text.content['summary']} {line.strip()}"

    def item_updateddate(self, item: Item) -> Any:
        return item[0].article.published_at

    def item_pubdate(self, item: Item) -> Any:
        return item[0].article.first_published_at
