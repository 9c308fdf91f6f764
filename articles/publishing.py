from datetime import datetime

from django.db import transaction
from django.db.models import F
from django.db.models.functions import Coalesce
from django.utils import timezone

from articles.models import Article, Revision
from review import standing

OPERATOR_PLACE = "{{operator:"


class NotSignedOff(Exception):
    """The text has no standing that lets it go out; the message says which it has."""


class UnfilledPlace(Exception):
    """A policy still has a place for the operator's own facts."""


class NotPublished(Exception):
    """There is nothing live to withdraw."""


@transaction.atomic
def publish(revision: Revision, *, at: datetime | None = None) -> None:
    """Make exactly this revision what readers see, from `at` (now by default) on.

    Raises NotSignedOff unless a clinician's approval of this very text is in force,
    and UnfilledPlace for a policy with `{{operator: …}}` left in it. Policies are the
    operator's own word and carry no badge, so nobody signs them off.
    """
    now = at or timezone.now()
    if revision.article.kind == Article.Kind.POLICY:
        _refuse_unfilled(revision)
    else:
        _refuse_unsigned(revision, now)
    Article.objects.filter(pk=revision.article_id).update(
        live_revision=revision,
        published_at=now,
        first_published_at=Coalesce(F("first_published_at"), now),
        withdrawn_at=None,
        withdrawn_reason="",
    )


def _refuse_unsigned(revision: Revision, now: datetime) -> None:
    found = standing(revision.digest, now)
    if not found.publishable:
        raise NotSignedOff(f"{revision} can't be published: it is {found.state.label}.")


def _refuse_unfilled(revision: Revision) -> None:
    if OPERATOR_PLACE in str(revision.content):
        raise UnfilledPlace(
            f"{revision} has a place for the operator's own facts left."
        )


def withdraw(article: Article, *, reason: str) -> None:
    """Take an article off the site; its address answers 410 and says `reason`.

    Raises NotPublished when there is nothing live, ValueError without a reason.
    """
    if not reason.strip():
        raise ValueError("Say why, for the readers who come looking.")
    withdrawn = Article.objects.filter(
        pk=article.pk, live_revision__isnull=False
    ).update(
        live_revision=None, withdrawn_at=timezone.now(), withdrawn_reason=reason.strip()
    )
    if not withdrawn:
        raise NotPublished(f"{article} is not on the site.")
