"""What follows from the verdicts on a text, at a time."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db import models
from django.db.models import Case, Q, Value, When
from django.utils import timezone

from review.models import SignOff

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


def standing(digest: str, at: datetime | None = None) -> Standing:
    """The standing of the text with this digest at `at` (aware; now by default)."""
    now = at or timezone.now()
    latest: Any = (
        SignOff.objects.verdict_on(digest, now).annotate(state=state_at(now)).first()
    )
    if latest is None:
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
