from typing import Any

from django.contrib.auth.models import User
from django.db import transaction

from articles import content as contents
from articles.models import Article, Draft, Revision
from review import digest


@transaction.atomic
def revise(
    article: Article,
    content: dict[str, Any],
    *,
    by: User | None,
    byline: str = "",
    machine_assisted: bool = False,
    note: str = "",
) -> tuple[Revision, bool]:
    """The article's newest revision with `content`, and whether it was made now.

    A text that is the newest one already makes no revision, so its standing stays.
    Raises `content.BadContent`. Two at once are numbered one after the other.
    """
    prepared = contents.checked(content)
    signed_as = digest(prepared)
    Article.objects.select_for_update().get(pk=article.pk)
    newest = article.revisions.order_by("-number").first()
    if newest and newest.digest == signed_as:
        return newest, False
    authors = set(newest.author_ids) if newest else set()
    if by:
        authors.add(by.pk)
        Draft.objects.filter(article=article, editor=by).delete()
    revision = Revision.objects.create(
        article=article,
        number=newest.number + 1 if newest else 1,
        content=prepared,
        digest=signed_as,
        author_ids=sorted(authors),
        byline=byline,
        machine_assisted=machine_assisted,
        note=note,
        created_by=by,
    )
    return revision, True
