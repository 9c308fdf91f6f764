"""Tips: texts in format tip/1, signed as they are mailed.

format, subject, preheader, html (sanitised, absolute links), text
"""

import re
import textwrap
from collections.abc import Callable, Iterator
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
from ledger import attest
from newsletter.models import HealthTip, TipRevision
from review import digest, note_newer_text

FORMAT = "tip/1"
LINK = re.compile(r"\[([^\]]*)\]\(([^)]*)\)")
LIBRARY = Path(__file__).parent / "library"
# What would break out of a mail header (and RFC 5322 allows nowhere in one).
CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")
TAGS = {"p", "h2", "h3", "ul", "ol", "li", "strong", "em", "a", "br"}


class BadTip(ValueError):
    """The text can't become a revision; the message says what to mend."""


@transaction.atomic
def revise(
    tip: HealthTip, content: dict[str, Any], *, cites: list[str], by: User
) -> tuple[TipRevision, bool]:
    """The tip's newest revision with `content`, and whether it was made now."""
    signed_as = digest(content)
    HealthTip.objects.select_for_update().get(pk=tip.pk)
    newest = tip.revisions.order_by("-number").first()
    if newest and (newest.digest, newest.cites) == (signed_as, cites):
        return newest, False
    authors = {by.pk, *(newest.author_ids if newest else [])}
    revision = attest(
        TipRevision(
            tip=tip,
            number=newest.number + 1 if newest else 1,
            content=content,
            digest=signed_as,
            cites=cites,
            author_ids=sorted(authors),
        )
    )
    note_newer_text(tip.subject, signed_as)
    return revision, True


def content_of(subject: str, preheader: str, markdown: str) -> dict[str, Any]:
    """Format tip/1 from a library file's Markdown."""
    rendered = MarkdownIt("commonmark", {"html": False}).render(markdown)
    return from_html(subject, preheader, rendered)


def from_html(subject: str, preheader: str, html: str) -> dict[str, Any]:
    """Format tip/1 from what an editor wrote. Raises BadTip.

    Unknown tags go, links become absolute: a mail has no address of its own.
    """
    if CONTROL.search(subject + preheader):
        raise BadTip("Subject and preheader hold a character that no mail can carry.")
    absolute = html.replace('href="/', f'href="{settings.SITE_URL}/')
    html = nh3.clean(
        absolute,
        tags=TAGS,
        attributes={"a": {"href"}},
        url_schemes={"https", "http"},
        link_rel=None,
    )
    if not text_of(html):
        raise BadTip("The text is empty.")
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


def load(
    folder: Path | None = None, *, say: Callable[[str], object] = lambda line: None
) -> Iterator[tuple[TipRevision, bool]]:
    """Each library tip's newest revision, and whether this call made it.

    Safe to repeat. A file that changed makes a new revision; a tip whose newest text an
    editor had a hand in keeps it. Raises ValueError for a file that can't be read.
    """
    for position, path in enumerate(sorted((folder or LIBRARY).glob("*.md")), 1):
        fields, markdown = catalogue.split_library_file(path)
        try:
            content = content_of(fields["subject"], fields["preheader"], markdown)
            loaded = load_tip(path.stem, position, content, fields)
        except KeyError as error:
            raise BadTip(f"{path.name}: {error} is missing") from error
        say(f"{path.stem}: {catalogue.what_became(loaded)}")
        if loaded:
            yield loaded


@transaction.atomic
def load_tip(
    slug: str, position: int, content: dict[str, Any], fields: dict[str, Any]
) -> tuple[TipRevision, bool] | None:
    """The revision made of a file's text, or None where an editor wrote since."""
    author = catalogue.library_author()
    tip, _ = HealthTip.objects.get_or_create(
        slug=slug,
        defaults={"position": position, "topics": fields.get("topics", [])},
    )
    # Or an editor's save could come between the look and the new revision.
    HealthTip.objects.select_for_update().get(pk=tip.pk)
    newest = tip.revisions.order_by("-number").first()
    if newest and newest.author_ids != [author.pk]:
        return None
    return revise(tip, content, cites=[fields["article"]], by=author)
