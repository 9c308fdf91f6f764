"""What follows from the verdicts on a text, at a time."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import structlog
from django.db import models
from django.db.models import Case, Q, Subquery, Value, When
from django.db.models.functions import Coalesce
from django.utils import timezone

from ledger import is_authentic
from review.models import SignOff

log = structlog.get_logger(__name__)

DUE_SOON = timedelta(days=30)
LAPSED_AFTER = timedelta(days=90)


class State(models.TextChoices):
    UNSIGNED = "unsigned"
    CHANGES_REQUESTED = "changes requested"
    CURRENT = "current"
    DUE_SOON = "due soon"
    OVERDUE = "overdue"
    LAPSED = "lapsed"
    RETRACTED = "retracted"


@dataclass(frozen=True)
class Standing:
    """A text's standing: its state, since when, and until when (None: open end)."""

    state: State
    since: datetime | None = None
    until: datetime | None = None
    sign_off: SignOff | None = None

    @property
    def publishable(self) -> bool:
        return self.state in (State.CURRENT, State.DUE_SOON)


def state_at(at: datetime) -> Case:
    """The state that a SignOff row means at `at`, as one SQL expression."""
    return Case(
        When(verdict=SignOff.Verdict.RETRACTED, then=Value(State.RETRACTED)),
        When(
            verdict=SignOff.Verdict.CHANGES_REQUESTED,
            then=Value(State.CHANGES_REQUESTED),
        ),
        When(Q(valid_until__gt=at + DUE_SOON), then=Value(State.CURRENT)),
        When(Q(valid_until__gt=at), then=Value(State.DUE_SOON)),
        When(Q(valid_until__gt=at - LAPSED_AFTER), then=Value(State.OVERDUE)),
        default=Value(State.LAPSED),
        output_field=models.CharField(),
    )


def state_of(subject: Any, digest: Any, at: datetime | None = None) -> Coalesce:
    """`standing(...).state` for lists: an annotation over `OuterRef`s.

    It believes the row's own digest column; what readers see is computed from the
    text by `standing`.
    """
    now = at or timezone.now()
    latest = SignOff.objects.verdict_on(subject, digest, now).annotate(
        state=state_at(now)
    )
    return Coalesce(Subquery(latest.values("state")), Value(State.UNSIGNED.value))


def standing(subject: str, digest: str, at: datetime | None = None) -> Standing:
    """The standing of `subject`'s text with this digest at `at` (now by default).

    Compute the digest from the very text you print. A verdict on another subject does
    not count, however alike the texts are: its authors were others. A sign-off that
    no longer says what the ledger committed to counts as none.
    """
    return standings([(subject, digest)], at)[subject, digest]


def standings(
    pairs: Collection[tuple[str, str]], at: datetime | None = None
) -> dict[tuple[str, str], Standing]:
    """`standing` of many (subject, digest), by one query."""
    now = at or timezone.now()
    latest = (
        SignOff.objects.verdicts_on(pairs, now)
        .annotate(state=state_at(now))
        .select_related("entry")
    )
    found = {(one.subject, one.digest): one for one in latest}
    return {pair: _standing_by(found.get(pair)) for pair in pairs}


def _standing_by(latest: Any) -> Standing:
    """What follows from the verdict that counts; None: there is none."""
    if latest is None:
        return Standing(State.UNSIGNED)
    if not is_authentic(latest):
        log.error("sign-off was altered", sign_off=latest.pk)
        return Standing(State.UNSIGNED)
    state = State(latest.state)
    since, until = _span(state, latest)
    return Standing(state, since, until, latest)


def _span(state: State, latest: SignOff) -> tuple[datetime, datetime | None]:
    ends = latest.valid_until
    return {
        State.CURRENT: (latest.signed_at, ends - DUE_SOON),
        State.DUE_SOON: (max(latest.signed_at, ends - DUE_SOON), ends),
        State.OVERDUE: (ends, ends + LAPSED_AFTER),
        State.LAPSED: (ends + LAPSED_AFTER, None),
    }.get(state, (latest.signed_at, None))
