"""Publishing later: at a minute, or as soon as a clinician approves the text."""

from datetime import datetime

import structlog
from django.contrib.auth.models import User
from django.db import transaction
from django.db.models import Q
from django.utils import timezone

from articles import emails
from articles.models import Article, Revision, ScheduledPublication
from articles.publishing import AlreadyPublished, publish, refuse_unpublishable
from articles.refusals import Refused
from ledger import is_redacted
from review import State, standing

log = structlog.get_logger(__name__)

Plan = ScheduledPublication
# A verdict that says no: what waits for a signature won't get one.
REFUSING = (State.CHANGES_REQUESTED, State.RETRACTED)


class AlreadyScheduled(Refused):
    """One publication of this article waits already."""


class NotWaiting(Refused):
    """The publication happened, was refused or was cancelled."""


@transaction.atomic
def schedule(
    revision: Revision,
    *,
    by: User,
    planned_for: datetime | None,
    at: datetime | None = None,
) -> ScheduledPublication:
    """Publish exactly this revision at `planned_for`, or (None) when it is signed.

    Raises AlreadyScheduled, Refused for a past minute or a policy that would wait for
    a signature, and what `publish` would raise at that minute.
    """
    now = at or timezone.now()
    article = Article.objects.select_for_update(of=["self"]).get(pk=revision.article_id)
    _refuse_second(article)
    if article.live_revision_id == revision.pk:
        raise AlreadyPublished("This text is on the site already.")
    if planned_for is None:
        _refuse_unsignable(revision, now)
    elif planned_for <= now:
        raise Refused("This minute is over: choose a later one, or publish now.")
    else:
        refuse_unpublishable(revision, planned_for)
    return Plan.objects.create(
        article=article,
        revision=revision,
        planned_for=planned_for,
        requested_by=by,
        requested_at=now,
    )


def _refuse_second(article: Article) -> None:
    waiting = article.schedule.filter(state=Plan.State.WAITING).first()
    if waiting:
        when = waiting.planned_for
        said = f"for {when:%-d %B %Y %H:%M} UTC" if when else "for when it is signed"
        number = waiting.revision.number
        raise AlreadyScheduled(
            f"Revision {number} is scheduled {said}. Cancel that first."
        )


def _refuse_unsignable(revision: Revision, now: datetime) -> None:
    if revision.article.kind == Article.Kind.POLICY:
        raise Refused("Nobody signs policies: publish it, or choose a minute.")
    found = standing(revision.article.subject, revision.text_digest(), now)
    if found.publishable:
        raise Refused("This text is signed: publish it now, or choose a minute.")
    if found.state in REFUSING:
        raise Refused(f"A clinician's verdict on this text is “{found.state.label}”.")


@transaction.atomic
def cancel(plan: ScheduledPublication, *, by: User, at: datetime | None = None) -> None:
    """Raises NotWaiting when it is too late."""
    cancelled = Plan.objects.filter(pk=plan.pk, state=Plan.State.WAITING).update(
        state=Plan.State.CANCELLED,
        reason=f"Cancelled by {by.get_username()}.",
        closed_at=at or timezone.now(),
    )
    if not cancelled:
        raise NotWaiting("This publication is not waiting any more.")


def publish_due(at: datetime | None = None) -> int:
    """Publish what its minute or its signature has come for; how many were.

    Two schedulers at once publish each once: the row is locked while it is decided.
    """
    due = Plan.objects.filter(state=Plan.State.WAITING).filter(
        Q(planned_for__lte=at or timezone.now()) | Q(planned_for__isnull=True)
    )
    waiting = due.order_by("pk").values_list("pk", "article")
    published = 0
    for pk, article in waiting:
        try:
            published += _decide(pk, article, at)
        except Exception:
            # One plan must not hold up the others; it is tried again.
            log.exception("scheduled publication failed", plan=pk)
    return published


@transaction.atomic
def _decide(pk: int, article: int, at: datetime | None) -> bool:
    # Article first, plan second, as whoever withdraws: two orders would wait for each
    # other.
    Article.objects.select_for_update(of=["self"]).get(pk=article)
    plan = (
        Plan.objects.select_for_update(of=["self"])
        .select_related("revision__article", "requested_by")
        .filter(pk=pk, state=Plan.State.WAITING)
        .first()
    )
    if plan is None:
        # Another scheduler decided it, or a person cancelled it.
        return False
    now = at or timezone.now()
    if plan.planned_for is None and not _is_decided(plan.revision, now):
        return False
    try:
        with transaction.atomic():
            publish(plan.revision, by=plan.requested_by, at=at)
    except AlreadyPublished:
        _close(plan, Plan.State.CANCELLED, now, "It was on the site already.")
    except Refused as refusal:
        _close(plan, Plan.State.REFUSED, now, str(refusal))
        emails.publication_refused(plan)
    else:
        _close(plan, Plan.State.PUBLISHED, now)
        return True
    return False


def _is_decided(revision: Revision, now: datetime) -> bool:
    """Whether waiting for a signature is over: it came, or it never will."""
    if is_redacted(revision):
        return True
    found = standing(revision.article.subject, revision.text_digest(), now)
    return found.publishable or found.state in REFUSING


def _close(
    plan: ScheduledPublication, state: Plan.State, now: datetime, reason: str = ""
) -> None:
    plan.state = state
    plan.reason = reason
    plan.closed_at = now
    plan.save(update_fields=["state", "reason", "closed_at"])
