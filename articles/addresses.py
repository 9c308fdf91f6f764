"""Where articles live. An address that was given once leads to its text for ever."""

from django.contrib.auth.models import User
from django.db import IntegrityError, transaction
from django.utils import timezone

from articles.models import Article, FormerSlug, PublishingEvent
from articles.refusals import Refused
from ledger import attest


class AddressTaken(Refused):
    """Another article has, or had, this address."""


def move(article: Article, *, slug: str, by: User | None = None) -> None:
    """Give the article a new address; the old one redirects. Raises AddressTaken."""
    try:
        with transaction.atomic():
            _move(article, slug, by)
    except IntegrityError as error:
        raise AddressTaken(
            "Another article has this address, or had it once: choose another."
        ) from error


def _move(article: Article, slug: str, by: User | None) -> None:
    locked = Article.objects.select_for_update(of=["self"]).get(pk=article.pk)
    if locked.slug == slug:
        raise Refused("The article has this address already.")
    FormerSlug.objects.create(slug=locked.slug, article=locked)
    # An article may return to an address of its own.
    FormerSlug.objects.filter(slug=slug, article=locked).delete()
    Article.objects.filter(pk=locked.pk).update(slug=slug)
    attest(
        PublishingEvent(
            article=locked,
            act=PublishingEvent.Act.MOVED,
            text=f"from {locked.slug} to {slug}",
            by=by,
            occurred_at=timezone.now(),
        )
    )


def moved_to(slug: str) -> Article | None:
    """The article that had this address once."""
    former = FormerSlug.objects.select_related("article").filter(slug=slug).first()
    return former.article if former else None
