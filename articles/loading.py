"""The library becomes drafts and revisions; an editor's later text is left alone."""

import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from django.contrib.auth.models import User
from django.db import transaction

from articles.content import BadContent
from articles.editing import revise
from articles.library_files import BadFile, LibraryArticle, read_article
from articles.models import Article, Revision, Section
from articles.pictures import keep_drawing
from articles.refusals import Refused

LIBRARY = Path(__file__).parent / "library"
LIBRARY_NOTE = "from the library"
BYLINE = "The twitchsite editors"
SECTIONS = {
    "conditions": ("Health Conditions", "What it is, what helps, when to get help."),
    "discover": ("Discover", "How nerves and muscles work, and what is new."),
    "plan": ("Plan", "Everyday steps you can try."),
    "connect": ("Connect", "Stories and people."),
}


def load(
    folder: Path | None = None,
    *,
    operator_fact: Callable[[str], str] | None = None,
    say: Callable[[str], object] = lambda line: None,
) -> Iterator[tuple[Revision, bool]]:
    """Each article's newest library revision, and whether this call made it.

    Safe to repeat, and to go on with after it was interrupted. A file that changed
    makes a new revision; an article whose newest revision an editor wrote keeps it, and
    what was taken away stays away. Nothing is published.
    `operator_fact` fills the `{{operator: …}}` places of policies; without it they
    stay. `say` hears of every file. Raises `library_files.BadFile`.
    """
    for position, (slug, (title, introduction)) in enumerate(SECTIONS.items()):
        Section.objects.get_or_create(
            slug=slug,
            defaults={
                "title": title,
                "introduction": introduction,
                "position": position,
            },
        )
    for path in sorted((folder or LIBRARY).glob("*.md")):
        source = read_article(path)
        if operator_fact:
            source = replace(source, content=_filled(source.content, operator_fact))
        try:
            loaded = load_article(source)
        except BadContent as error:
            raise BadFile(f"{path.name}: {error}") from error
        except Refused as refusal:
            say(f"{source.slug}: left alone. {refusal}")
            continue
        say(f"{source.slug}: {what_became(loaded)}")
        if loaded:
            yield loaded


def what_became(loaded: tuple[Any, bool] | None) -> str:
    """Of a text: the revision made or found, or None where an editor wrote since."""
    if loaded is None:
        return "left alone. An editor wrote the newest text."
    revision, made = loaded
    return f"revision {revision.number} made" if made else "as it was"


def _filled(content: dict[str, Any], fact: Callable[[str], str]) -> dict[str, Any]:
    """The content with each operator's place filled, in its body and summary."""
    places = re.compile(r"\{\{operator: ([^}]+)\}\}")
    return {
        name: places.sub(lambda match: fact(match[1].strip()), value)
        if isinstance(value, str)
        else value
        for name, value in content.items()
    }


@transaction.atomic
def load_article(source: LibraryArticle) -> tuple[Revision, bool] | None:
    """The revision made of `source`, or None where an editor wrote since.

    What stands around the text (aliases, codes, read next) is taken once: from then on
    it is the editors'.
    """
    article, _ = Article.objects.get_or_create(
        slug=source.slug,
        defaults={
            "section": Section.objects.filter(slug=source.section).first(),
            "kind": source.kind,
            "aliases": source.aliases,
            "codes": source.codes,
            "read_next": source.read_next,
        },
    )
    # Or an editor's save could come between the look and the new revision.
    Article.objects.select_for_update().get(pk=article.pk)
    newest = article.revisions.order_by("-number").first()
    if newest and newest.note != LIBRARY_NOTE:
        return None
    for figure in source.figures:
        keep_drawing(figure.digest, figure.content, figure.width, figure.height)
    return revise(
        article,
        source.content,
        by=library_author(),
        byline=BYLINE,
        machine_assisted=True,
        note=LIBRARY_NOTE,
    )


def library_author() -> User:
    """The account under which library texts were written; nobody can log in to it."""
    author, created = User.objects.get_or_create(
        username="library", defaults={"is_active": False}
    )
    if created:
        author.set_unusable_password()
        author.save(update_fields=["password"])
    return author
