"""What readers see: the one text of an article that is live, and how it got there."""

from datetime import datetime

from django.contrib.auth.models import User
from django.db import transaction
from django.db.models import F, QuerySet
from django.db.models.functions import Coalesce
from django.utils import timezone

from articles import emails
from articles.models import Article, PublishingEvent, Revision, ScheduledPublication
from articles.refusals import Refused, kindly
from ledger import attest, is_redacted
from review import State, hold, put_in_use, standing, take_out_of_use

OPERATOR_PLACE = "{{operator:"
Act = PublishingEvent.Act
WHY_NOT = {
    State.UNSIGNED: "no clinician has approved it yet. Submit it for review.",
    State.CHANGES_REQUESTED: "a clinician asked for changes.",
    State.OVERDUE: "its approval has run out. Submit it for review again.",
    State.LAPSED: "its approval ran out long ago. Submit it for review again.",
    State.RETRACTED: "a clinician took the approval back.",
}


class NotSignedOff(Refused):
    """The text has no standing that lets it go out; the message says which it has."""


class UnfilledPlace(Refused):
    """A policy still has a place for the operator's own facts."""


class NotPublished(Refused):
    """There is nothing live to withdraw or correct."""


class AlreadyPublished(Refused):
    """Readers see this text already."""


class NotPermitted(Refused):
    """This person may not do that."""


@kindly
@transaction.atomic
def publish(
    revision: Revision, *, by: User | None = None, at: datetime | None = None
) -> None:
    """Make exactly this revision what readers see, from `at` (now by default) on.

    Raises NotSignedOff unless a clinician's approval of this very text is in force,
    UnfilledPlace for a policy with `{{operator: …}}` left in it, and AlreadyPublished.
    Policies are the operator's own word and carry no badge, so nobody signs them off.
    """
    article, revision = _locked(revision.article_id), _as_it_is(revision)
    now = at or timezone.now()
    is_live = article.live_revision_id == revision.pk and not is_redacted(revision)
    if is_live and not article.unsigned_reason:
        raise AlreadyPublished("This text is on the site already.")
    refuse_unpublishable(revision, now)
    _go_live(article, revision, now, unsigned_reason="")
    _write_down(article, revision, Act.PUBLISHED, by=by, at=now)
    _cancel_others(article, revision, now)


def refuse_unpublishable(revision: Revision, at: datetime) -> None:
    """Raise what `publish` would at `at`, if nothing changes until then."""
    if is_redacted(revision):
        raise Refused("This text was taken away for a lawful reason.")
    if revision.article.kind == Article.Kind.POLICY:
        if OPERATOR_PLACE in str(revision.content):
            raise UnfilledPlace(
                f"{revision} has a place for the operator's own facts left."
            )
        return
    # From the text itself: a row that somebody altered has no sign-off.
    found = standing(revision.article.subject, revision.text_digest(), at)
    if not found.publishable:
        raise NotSignedOff(f"This text can’t be published: {WHY_NOT[found.state]}")


@kindly
@transaction.atomic
def publish_unsigned(
    revision: Revision, *, by: User, reason: str, at: datetime | None = None
) -> None:
    """Put a text on the site that no clinician approved; the page and /trust/ say so.

    Raises NotPermitted without `articles.publish_unsigned`, Refused without a reason,
    for a policy, and for a text whose approval was taken back.
    """
    if not by.has_perm("articles.publish_unsigned"):
        raise NotPermitted("You may not publish what no clinician approved.")
    if not reason.strip():
        raise Refused("Say why: the reason stands on the page.")
    article, revision = _locked(revision.article_id), _as_it_is(revision)
    now = at or timezone.now()
    if article.kind == Article.Kind.POLICY or is_redacted(revision):
        raise Refused("Only an article's text is published this way.")
    found = standing(article.subject, revision.text_digest(), now)
    if found.state is State.RETRACTED:
        raise NotSignedOff("A clinician took back the approval of this very text.")
    if found.publishable:
        raise Refused("This text is approved: publish it the ordinary way.")
    _go_live(article, revision, now, unsigned_reason=reason.strip())
    _write_down(article, revision, Act.PUBLISHED_UNSIGNED, by=by, at=now, text=reason)
    _cancel_others(article, revision, now)


def _locked(pk: int) -> Article:
    """Nobody else publishes or signs this article until the transaction ends.

    Ask for the time after it: a verdict that was given while this waited would be
    later than a time from before, and so would not count.
    """
    article = Article.objects.select_for_update(of=["self"]).get(pk=pk)
    hold(article.subject)
    return article


def _as_it_is(revision: Revision) -> Revision:
    """Its row, not a copy from before somebody redacted or altered it."""
    return Revision.objects.select_related("article").get(pk=revision.pk)


def _cancel_others(article: Article, live: Revision, now: datetime) -> None:
    """A text scheduled earlier does not take the place of the one that is live now."""
    others = article.schedule.exclude(revision=live)
    _cancel(others, f"Revision {live.number} was published meanwhile.", now)


def _cancel(plans: QuerySet[ScheduledPublication], reason: str, now: datetime) -> None:
    """Those of `plans` that wait; who asked for each is told."""
    waiting = plans.filter(state=ScheduledPublication.State.WAITING)
    for plan in waiting.select_related("requested_by"):
        plan.state = ScheduledPublication.State.CANCELLED
        plan.reason = reason
        plan.closed_at = now
        plan.save(update_fields=["state", "reason", "closed_at"])
        emails.publication_refused(plan)


def _go_live(
    article: Article, revision: Revision, now: datetime, *, unsigned_reason: str
) -> None:
    Article.objects.filter(pk=article.pk).update(
        live_revision=revision,
        published_at=now,
        first_published_at=Coalesce(F("first_published_at"), now),
        withdrawn_at=None,
        withdrawn_reason="",
        replaced_by=None,
        unsigned_reason=unsigned_reason,
    )
    if article.kind != Article.Kind.POLICY:
        put_in_use(
            revision.content,
            subject=article.subject,
            title=revision.title,
            url=revision.get_admin_url(),
            preview_url=revision.get_preview_url(),
            authors=revision.author_ids,
        )


def _write_down(
    article: Article,
    revision: Revision | None,
    act: PublishingEvent.Act,
    *,
    by: User | None,
    at: datetime,
    text: str = "",
) -> None:
    attest(
        PublishingEvent(
            article=article,
            revision=revision,
            digest=revision.digest if revision else "",
            act=act,
            text=text.strip(),
            by=by,
            occurred_at=at,
        )
    )


@transaction.atomic
def withdraw(
    article: Article,
    *,
    reason: str,
    by: User | None = None,
    replaced_by: Article | None = None,
    at: datetime | None = None,
) -> None:
    """Take an article off the site; its address answers 410 and says `reason`.

    With `replaced_by` readers are sent there instead. What is scheduled is cancelled,
    and who asked for it told: nothing puts the text back by itself. Raises NotPublished
    when there is nothing live, Refused without a reason or for a replacement that is
    not on the site.
    """
    if not reason.strip():
        raise Refused("Say why, for the readers who come looking.")
    locked = _locked(article.pk)
    now = at or timezone.now()
    if locked.live_revision is None:
        raise NotPublished(f"{article} is not on the site.")
    if replaced_by and (replaced_by.pk == locked.pk or not replaced_by.is_published()):
        raise Refused("Readers can only be sent to another article that is published.")
    left = locked.live_revision
    Article.objects.filter(pk=locked.pk).update(
        live_revision=None,
        withdrawn_at=now,
        withdrawn_reason=reason.strip(),
        replaced_by=replaced_by,
        unsigned_reason="",
    )
    _cancel(locked.schedule.all(), "The article was withdrawn.", now)
    take_out_of_use(locked.subject)
    _write_down(locked, left, Act.WITHDRAWN, by=by, at=now, text=reason)


@transaction.atomic
def correct(
    article: Article, *, note: str, by: User | None = None, at: datetime | None = None
) -> None:
    """Print a dated correction note below the live text. Raises NotPublished."""
    if not note.strip():
        raise Refused("Write what was wrong and what is right.")
    locked = _locked(article.pk)
    if locked.live_revision is None:
        raise NotPublished(f"{article} is not on the site.")
    now = at or timezone.now()
    _write_down(locked, locked.live_revision, Act.CORRECTED, by=by, at=now, text=note)
