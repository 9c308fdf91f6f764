"""From a draft to a revision. Nothing typed is lost: a refused text stays a draft."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from django.contrib.auth.models import User
from django.db import transaction

from articles import content as contents
from articles import pictures
from articles.models import Article, Draft, Revision
from articles.refusals import Refused, kindly
from ledger import attest, is_redacted, refuse_taken_away
from review import digest, note_newer_text

EMPTY: dict[str, Any] = {
    "title": "",
    "summary": "",
    "key_points": [],
    "body": "",
    "care_cards": [],
    "references": [],
}


class NewerRevision(Refused):
    """Somebody saved another text meanwhile; the draft is kept as it is."""

    def __init__(self, newest: Revision) -> None:
        who = newest.created_by.get_username() if newest.created_by else "somebody"
        super().__init__(
            f"{who} saved revision {newest.number} while you were writing. Your text "
            "is kept. Look at the difference below, take over what you want, and save "
            "again."
        )
        self.newest = newest


class DraftInTheWay(Refused):
    """The editor has an unfinished text that a new draft would replace."""


class ChangedElsewhere(Refused):
    """The draft was typed in elsewhere since this page was opened; nothing is lost."""

    def __init__(self, kept: Draft) -> None:
        super().__init__(
            f"This draft was changed in another window at {kept.updated_at:%H:%M} UTC. "
            "What is kept there and what you typed here differ as shown below. Take "
            "over what you want, then keep or save again: your text here then counts."
        )
        self.kept = kept


class NothingToSave(Refused):
    """The draft is gone: it was saved or discarded in another window."""


@dataclass(frozen=True)
class Written:
    """What an editor typed: the article's content and what stands around it."""

    content: dict[str, Any]
    byline: str = ""
    machine_assisted: bool = False
    note: str = ""


def start_draft(article: Article, *, by: User) -> Draft:
    """The editor's own draft, from the newest text if they had none."""
    newest = newest_revision(article)
    draft, _ = Draft.objects.get_or_create(
        article=article, editor=by, defaults=_taken_from(newest)
    )
    return draft


@transaction.atomic
def bring_back(revision: Revision, *, by: User) -> Draft:
    """An old text as the editor's draft; saving it makes it the newest again.

    Raises DraftInTheWay rather than replacing what the editor has typed, and Refused
    for a redacted text.
    """
    if is_redacted(revision):
        raise Refused("This text was taken away for a lawful reason.")
    newest = newest_revision(revision.article)
    draft, made = Draft.objects.get_or_create(
        article=revision.article,
        editor=by,
        defaults={**_taken_from(revision), "based_on": newest},
    )
    if not made:
        raise DraftInTheWay(
            "You have a draft of this article. Save or discard it first."
        )
    return draft


def _taken_from(revision: Revision | None) -> dict[str, Any]:
    if revision is None or is_redacted(revision):
        return {"content": EMPTY, "based_on": revision}
    return {
        "content": {key: revision.content[key] for key in EMPTY},
        "based_on": revision,
        "byline": revision.byline,
        "machine_assisted": revision.machine_assisted,
    }


@transaction.atomic
def keep(
    draft: Draft, written: Written, *, by: User, version: str | None = None
) -> Draft:
    """Store what `by` typed, however unfinished; the draft as it is kept now.

    `version` is the `Draft.version` that the page showed: another one raises
    ChangedElsewhere instead of replacing what was typed there. Raises NothingToSave.
    """
    kept = Draft.objects.select_for_update().filter(pk=draft.pk).first()
    if kept is None:
        raise NothingToSave(
            "This draft was saved or discarded in another window. Copy what you need "
            "from this page and open the article again."
        )
    is_new = kept.content != written.content
    if is_new and version not in (None, kept.version):
        raise ChangedElsewhere(kept)
    if is_new:
        kept.author_ids = sorted({*kept.author_ids, by.pk})
    for name in ("content", "byline", "machine_assisted", "note"):
        setattr(kept, name, getattr(written, name))
    kept.save()
    return kept


@transaction.atomic
def save(draft: Draft, *, by: User, seen: int | None = None) -> tuple[Revision, bool]:
    """Make the draft the article's newest revision, unless it says the same already.

    `seen` is the id of the revision that the person looked at last; without it, the
    one that the draft was started from.
    Returns the newest revision and whether it was made now; the draft is done with.
    Raises NewerRevision, NothingToSave and `content.BadContent`; the draft stays.
    """
    Article.objects.select_for_update(of=["self"]).get(pk=draft.article_id)
    kept = (
        Draft.objects.select_related("article")
        .select_for_update(of=["self"])
        .filter(pk=draft.pk)
        .first()
    )
    if kept is None:
        raise NothingToSave("This draft was saved already.")
    newest = newest_revision(kept.article)
    if newest and newest.pk != (seen or kept.based_on_id):
        raise NewerRevision(newest)
    saved = revise(
        kept.article,
        kept.content,
        by=by,
        authors=kept.author_ids,
        byline=kept.byline,
        machine_assisted=kept.machine_assisted,
        note=kept.note,
    )
    kept.delete()
    return saved


def discard(draft: Draft) -> None:
    Draft.objects.filter(pk=draft.pk).delete()


@kindly
@transaction.atomic
def revise(
    article: Article,
    content: dict[str, Any],
    *,
    by: User | None,
    authors: Sequence[int] = (),
    byline: str = "",
    machine_assisted: bool = False,
    note: str = "",
) -> tuple[Revision, bool]:
    """The article's newest revision with `content`, and whether it was made now.

    `authors` are the ids of users who wrote part of it besides `by`.

    A text that is the newest one already makes no revision, so its standing stays.
    Raises `content.BadContent`, and Refused for a text that was redacted. Two at once
    are numbered one after the other.
    """
    prepared = contents.checked(content, renditions=pictures.shown)
    signed_as = digest(prepared)
    refuse_taken_away(signed_as)
    Article.objects.select_for_update(of=["self"]).get(pk=article.pk)
    newest = newest_revision(article)
    if newest and _says_the_same(newest, signed_as, byline, machine_assisted):
        return newest, False
    revision = attest(
        Revision(
            article=article,
            number=newest.number + 1 if newest else 1,
            content=prepared,
            digest=signed_as,
            author_ids=_authors(article, signed_as, by, authors),
            byline=byline,
            machine_assisted=machine_assisted,
            note=note,
            created_by=by,
        )
    )
    note_newer_text(article.subject, signed_as)
    return revision, True


def newest_revision(article: Article) -> Revision | None:
    return article.revisions.order_by("-number").first()


def _says_the_same(
    newest: Revision, signed_as: str, byline: str, machine_assisted: bool
) -> bool:
    return (newest.digest, newest.byline, newest.machine_assisted) == (
        signed_as,
        byline,
        machine_assisted,
    )


def _authors(
    article: Article,
    signed_as: str,
    by: User | None,
    others: Sequence[int],
) -> list[int]:
    """Who wrote this text: everybody who wrote before, and now.

    One that is brought back unchanged is its own authors', not its bringer's.
    """
    same = article.revisions.filter(digest=signed_as).first()
    if same:
        return same.author_ids
    earlier = article.revisions.values_list("author_ids", flat=True)
    before = {one for authors in earlier for one in authors}
    return sorted({*before, *others, *([by.pk] if by else [])})
