"""Tips: texts in format tip/1, signed as they are mailed.

format, subject, preheader, html (sanitised, absolute links), text
"""

import re
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import nh3
from django.conf import settings
from django.contrib.auth.models import User
from django.db import transaction
from inscriptis import get_text
from inscriptis.model.config import ParserConfig
from markdown_it import MarkdownIt

from articles import catalogue
from newsletter.models import HealthTip, TipRevision
from review import digest

FORMAT = "tip/1"
LINK = re.compile(r"\[([^\]]*)\]\(([^)]*)\)")
LIBRARY = Path(__file__).parent / "library"
TAGS = {"p", "h2", "h3", "ul", "ol", "li", "strong", "em", "a", "br"}


@transaction.atomic
def revise(
    tip: HealthTip, content: dict[str, Any], *, cites: list[str], by: User
) -> tuple[TipRevision, bool]:
    """The tip's newest revision with `content`, and whether it was made now."""
    signed_as = digest(content)
    HealthTip.objects.select_for_update().get(pk=tip.pk)
    newest = tip.revisions.order_by("-number").first()
    if newest and newest.digest == signed_as:
        return newest, False
    authors = {by.pk, *(newest.author_ids if newest else [])}
    revision = TipRevision.objects.create(
        tip=tip,
        number=newest.number + 1 if newest else 1,
        content=content,
        digest=signed_as,
        cites=cites,
        author_ids=sorted(authors),
    )
    return revision, True


def content_of(subject: str, preheader: str, markdown: str) -> dict[str, Any]:
    """Format tip/1 from what an editor wrote."""
    rendered = MarkdownIt("commonmark", {"html": False}).render(markdown)
    absolute = rendered.replace('href="/', f'href="{settings.SITE_URL}/')
    html = nh3.clean(
        absolute,
        tags=TAGS,
        attributes={"a": {"href"}},
        url_schemes={"https", "http"},
        link_rel=None,
    )
    return {
        "format": FORMAT,
        "subject": subject,
        "preheader": preheader,
        "html": html,
        "text": text_of(html),
    }


def text_of(html: str) -> str:
    """The text part: paragraphs of at most 76 columns, links written out."""
    plain = get_text(html, ParserConfig(display_links=True)).strip()
    spelled_out = LINK.sub(r"\1 (\2)", plain)
    return "\n".join(
        wrapped
        for line in spelled_out.splitlines()
        for wrapped in textwrap.wrap(
            line, 76, break_long_words=False, break_on_hyphens=False
        )
        or [""]
    )


def load(folder: Path = LIBRARY) -> Iterator[tuple[TipRevision, bool]]:
    """Each library tip's newest revision, and whether this call made it."""
    author = catalogue.library_author()
    for position, path in enumerate(sorted(folder.glob("*.md")), 1):
        fields, markdown = catalogue.split_library_file(path)
        tip, _ = HealthTip.objects.get_or_create(
            slug=path.stem,
            defaults={"position": position, "topics": fields.get("topics", [])},
        )
        content = content_of(fields["subject"], fields["preheader"], markdown)
        yield revise(tip, content, cites=[fields["article"]], by=author)
