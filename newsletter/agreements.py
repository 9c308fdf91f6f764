"""What a person agreed to, in the very words they saw, and where the proof stands."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime

from django.db.models import QuerySet

from ledger import position_of
from newsletter.models import ConsentEvent, ImportedEvidence, Subscriber, Wording


@dataclass(frozen=True)
class Fact:
    """One row of the ledger's, as a person may read it."""

    event: ConsentEvent
    # In the chain, from 1; None while it waits to be sealed (about a second).
    position: int | None


@dataclass(frozen=True)
class Agreement:
    """One press of the button: the box as it was, and what followed."""

    wording: Wording
    asked_at: datetime
    terms_id: int | None
    facts: list[Fact] = field(default_factory=list)

    @property
    def confirmed_at(self) -> datetime | None:
        return self._first(ConsentEvent.Act.CONFIRMED)

    @property
    def withdrawn_at(self) -> datetime | None:
        return self._first(ConsentEvent.Act.WITHDRAWN)

    def _first(self, act: ConsentEvent.Act) -> datetime | None:
        found = (one.event.occurred_at for one in self.facts if one.event.act == act)
        return next(found, None)


def agreements_of(subscriber: Subscriber) -> list[Agreement]:
    """Oldest first. Changes and withdrawals stand with the one they followed."""
    return list(_told(facts_of(subscriber)))


def facts_of(subscriber: Subscriber) -> list[Fact]:
    """All that the ledger knows of this person, in the order it was written."""
    events = ConsentEvent.objects.filter(subscriber_key=subscriber.key)
    rows = list(events.select_related("wording", "terms").order_by("pk"))
    positions = position_of([one.entry_id for one in rows])
    return [Fact(one, positions.get(one.entry_id)) for one in rows]


def brought_with(subscriber: Subscriber) -> QuerySet[ImportedEvidence]:
    """What the file they came in with said of a consent, with its words, oldest first.

    Several rows of one line: the operator vouched for it later.
    """
    mine = ImportedEvidence.objects.filter(subscriber_key=subscriber.key)
    return mine.select_related("context").order_by("pk")


def _told(facts: list[Fact]) -> Iterator[Agreement]:
    current: Agreement | None = None
    for fact in facts:
        event = fact.event
        is_new = event.act == ConsentEvent.Act.REQUESTED
        # Who came in with a file saw the words where they confirmed.
        if event.wording and event.matter == ConsentEvent.Matter.NEWSLETTER:
            if current:
                yield current
            current = Agreement(event.wording, event.occurred_at, None)
        if current is None:
            continue
        if is_new and event.matter == ConsentEvent.Matter.TERMS:
            current = Agreement(
                current.wording, current.asked_at, event.terms_id, current.facts
            )
        current.facts.append(fact)
    if current:
        yield current
