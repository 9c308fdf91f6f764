"""What became of a batch, in numbers. No address and no name is in any of them."""

from collections import Counter
from dataclasses import dataclass
from datetime import datetime

from django.db.models import Count, Max, Min, Q, Sum

from mail.models import Batch, Delivery

State = Delivery.State


@dataclass(frozen=True)
class Fate:
    name: str
    label: str
    number: int
    reasons: list[tuple[str, int]]


@dataclass(frozen=True)
class Counts:
    """How many deliveries are where, and by which reason they got there."""

    eligible: int
    # State, reason ("" where none is noted), how many; the most frequent first.
    rows: tuple[tuple[str, str, int], ...]

    def of(self, *states: str) -> int:
        return sum(number for state, _, number in self.rows if state in states)

    @property
    def accepted(self) -> int:
        return self.of(State.ACCEPTED)

    @property
    def refused(self) -> int:
        return self.of(State.REFUSED)

    @property
    def dropped(self) -> int:
        return self.of(State.DROPPED)

    @property
    def uncertain(self) -> int:
        return self.of(State.UNCERTAIN)

    @property
    def waiting(self) -> int:
        """Those without a fate, the ones being handed over included."""
        return self.known - self.with_fate

    @property
    def with_fate(self) -> int:
        return self.of(*Delivery.FINAL)

    @property
    def add_up(self) -> bool:
        """eligible = accepted + refused + dropped + uncertain"""
        return self.eligible == self.with_fate

    @property
    def percent(self) -> int:
        """Of those eligible, how many have a fate; 100 only when all have."""
        return self.with_fate * 100 // self.eligible if self.eligible else 0

    @property
    def known(self) -> int:
        return sum(number for _, _, number in self.rows)

    @property
    def is_complete(self) -> bool:
        """Nobody who was eligible is missing."""
        return self.eligible == self.known

    def by_reason(self, state: str) -> dict[str, int]:
        return {reason: number for one, reason, number in self.rows if one == state}

    @property
    def fates(self) -> list[Fate]:
        """For pages: in the order of a person's questions."""
        return [
            Fate(
                name=state,
                label=str(state.label),
                number=self.of(state),
                reasons=[one for one in self.by_reason(state).items() if one[0]],
            )
            for state in Delivery.FINAL
        ]


def counts(batch: Batch) -> Counts:
    """Of its deliveries, and of those that are gone by now (`mail.retention`).

    One statement, so that nobody is missed or counted twice while rows go.
    """
    there = Delivery.objects.filter(batch=batch).values_list("state", "reason")
    gone = batch.kept_counts.values_list("state", "reason")
    found: Counter[tuple[str, str]] = Counter()
    for state, reason, number in there.annotate(number=Count("pk")).union(
        gone.annotate(number=Sum("count")), all=True
    ):
        found[state, reason] += number
    rows = [(state, reason, number) for (state, reason), number in found.items()]
    rows.sort(key=lambda row: (-row[2], row[0], row[1]))
    return Counts(batch.eligible, tuple(rows))


@dataclass(frozen=True)
class Pace:
    """When a batch's messages were taken by the mail server, and how fast."""

    first_at: datetime | None
    last_at: datetime | None
    accepted: int
    complaints: int

    @property
    def seconds(self) -> float | None:
        if self.first_at is None or self.last_at is None:
            return None
        return (self.last_at - self.first_at).total_seconds()

    @property
    def per_second(self) -> float | None:
        """None where a span of no length says nothing."""
        return self.accepted / self.seconds if self.seconds else None

    @property
    def complaint_percent(self) -> float | None:
        return 100 * self.complaints / self.accepted if self.accepted else None


def pace(batch: Batch) -> Pace:
    accepted = Q(state=State.ACCEPTED)
    there = Delivery.objects.filter(batch=batch).aggregate(
        first_at=Min("finished_at", filter=accepted),
        last_at=Max("finished_at", filter=accepted),
        accepted=Count("pk", filter=accepted),
        complaints=Count("pk", filter=Q(bounce=Delivery.Bounce.COMPLAINT)),
    )
    gone = batch.kept_counts.aggregate(
        first_at=Min("first_at", filter=accepted),
        last_at=Max("last_at", filter=accepted),
        accepted=Sum("count", filter=accepted, default=0),
        complaints=Sum("complaints", default=0),
    )
    firsts = [one["first_at"] for one in (there, gone) if one["first_at"]]
    lasts = [one["last_at"] for one in (there, gone) if one["last_at"]]
    return Pace(
        first_at=min(firsts, default=None),
        last_at=max(lasts, default=None),
        accepted=there["accepted"] + gone["accepted"],
        complaints=there["complaints"] + gone["complaints"],
    )
