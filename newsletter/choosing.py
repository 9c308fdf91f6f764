"""Which tip may go out, and in plain words what another one waits for."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime

import structlog
from django.db.models import F, Max, Q

from articles import catalogue
from ledger import is_authentic, is_redacted
from newsletter.models import HealthTip, Schedule, TipRevision
from review import SignOff, Standing, State, standings

log = structlog.get_logger(__name__)

NOTHING_WRITTEN = "Nothing is written yet."
OWN_TEXT = {
    State.UNSIGNED: "No clinician has approved its newest text yet.",
    State.CHANGES_REQUESTED: "A clinician asked for changes.",
    State.OVERDUE: "Its review ran out on {since}.",
    State.LAPSED: "Its review ran out on {since}.",
    State.RETRACTED: "A clinician took the approval of its text back.",
}
CITED_TEXT = {
    State.UNSIGNED: "no clinician has approved what it says now",
    State.CHANGES_REQUESTED: "a clinician asked for changes to it",
    State.OVERDUE: "its review ran out on {since}",
    State.LAPSED: "its review ran out on {since}",
    State.RETRACTED: "a clinician took its approval back",
}


@dataclass(frozen=True)
class Outlook:
    """Whether a text may go out: its sign-off, or what it waits for."""

    sign_off: SignOff | None = None
    waits_for: str = ""


def outlooks(
    revisions: Collection[TipRevision], at: datetime | None = None
) -> dict[int, Outlook]:
    """Each text's outlook at `at` (now by default), by its id.

    Its own text and every article it cites must be approved and in date. Asks as often
    for many as for one; needs `tip` and `entry` selected along.
    """
    texts = {one.pk: (one.tip.subject, one.text_digest()) for one in revisions}
    own = standings(list(texts.values()), at)
    cited = catalogue.live_standings(
        {slug for one in revisions for slug in one.cites}, at
    )
    return {one.pk: _outlook(one, own[texts[one.pk]], cited) for one in revisions}


def newest_texts(tips: Collection[HealthTip]) -> dict[int, TipRevision]:
    """The newest text of each tip that has one, by the tip's id."""
    revisions = TipRevision.objects.filter(tip__in=tips).select_related("tip", "entry")
    newest = revisions.order_by("tip_id", "-number").distinct("tip_id")
    return {one.tip_id: one for one in newest}


def outlook(revision: TipRevision, at: datetime | None = None) -> Outlook:
    return outlooks([revision], at)[revision.pk]


def newest_fit(
    revisions: Collection[TipRevision], at: datetime | None = None
) -> tuple[TipRevision, SignOff] | None:
    """The newest of a tip's texts that may go out."""
    found = outlooks(revisions, at)
    for one in sorted(revisions, key=lambda one: one.number, reverse=True):
        if sign_off := found[one.pk].sign_off:
            return one, sign_off
    return None


def next_tip(schedule: Schedule, at: datetime) -> TipRevision | None:
    """The text whose turn it is among those that may go out at `at`."""
    return next(iter(sendable(schedule, at)), None)


def sendable(schedule: Schedule, at: datetime) -> list[TipRevision]:
    """The texts in the schedule's queue that may go out at `at`, in their turn.

    Never sent first, else longest ago if the schedule repeats. One that waits for
    something does not hold up those after it.
    """
    tips = _in_turn(schedule)
    newest = newest_texts(tips)
    found = outlooks(newest.values(), at)
    texts = [newest[tip.pk] for tip in tips if tip.pk in newest]
    return [one for one in texts if found[one.pk].sign_off]


def held(schedule: Schedule, at: datetime) -> list[tuple[HealthTip, str]]:
    """The tips in the schedule's queue that may not go out at `at`, and why."""
    tips = _in_turn(schedule)
    waiting = what_tips_wait_for(tips, at)
    return [(one, waiting[one.pk]) for one in tips if waiting[one.pk]]


def what_tips_wait_for(
    tips: Collection[HealthTip], at: datetime | None = None
) -> dict[int, str]:
    """What keeps each tip from going out at `at`, by its id; "" when nothing does."""
    newest = newest_texts(tips)
    found = outlooks(newest.values(), at)
    return {
        tip.pk: found[newest[tip.pk].pk].waits_for
        if tip.pk in newest
        else NOTHING_WRITTEN
        for tip in tips
    }


def _in_turn(schedule: Schedule) -> list[HealthTip]:
    own = schedule.issues.sent()
    sent = Max("revisions__issues__slot", filter=Q(revisions__issues__in=own))
    tips = HealthTip.objects.annotate(last_sent=sent)
    if not schedule.repeats:
        tips = tips.filter(last_sent__isnull=True)
    turn = F("last_sent").asc(nulls_first=True)
    return list(tips.order_by(turn, "position", "slug"))


def _outlook(
    revision: TipRevision, own: Standing, cited: dict[str, Standing]
) -> Outlook:
    reason = _what_it_waits_for(revision, own, cited)
    return Outlook(waits_for=reason) if reason else Outlook(sign_off=own.sign_off)


def _what_it_waits_for(
    revision: TipRevision, own: Standing, cited: dict[str, Standing]
) -> str:
    if is_redacted(revision):
        return "Its text was taken away for a lawful reason."
    if not is_authentic(revision):
        # What it cites, too, decides whether it may go out.
        log.error("tip was altered", tip_revision=revision.pk)
        return "Its row was altered outside the admin. Please tell the operator."
    if not own.publishable:
        return OWN_TEXT[own.state].format(since=_day(own))
    if not revision.cites:
        return "It names no article that it relies on."
    reasons = (_about_article(slug, cited.get(slug)) for slug in revision.cites)
    return " ".join(one for one in reasons if one)


def _about_article(slug: str, found: Standing | None) -> str:
    if found is None:
        return f"The article {slug}, which it relies on, is not on the site."
    if found.publishable:
        return ""
    reason = CITED_TEXT[found.state].format(since=_day(found))
    return f"It relies on the article {slug}: {reason}."


def _day(found: Standing) -> str:
    """When the approval ran out, if there was one."""
    return f"{found.sign_off.valid_until:%-d %B %Y}" if found.sign_off else ""
