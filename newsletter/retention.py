"""What the list lets go of, when its time is over (GDPR 5(1)(e)).

Each person is forgotten in a commit of their own: what was cut off goes on, and two at
once forget nobody twice.
"""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TypeVar

from django.conf import settings
from django.db import transaction
from django.db.models import Model, Q, QuerySet
from django.db.models.functions import Greatest
from django.utils import timezone

from newsletter.mailboxes import let_go_of, without_subscriber
from newsletter.models import (
    KeptAsking,
    LinkRequest,
    SignUp,
    Subscriber,
    SubscriberQuerySet,
)
from newsletter.moving import MOVE_WITHIN, forget_former, forget_move
from newsletter.personal_data import forget
from newsletter.subscribing import PERMIT_WITHIN

RETAIN = "newsletter.retain"
# What no worker resolved within a day will not be resolved.
UNRESOLVED_FOR = timedelta(days=1)
# Celery hands a task that takes ten minutes to a second worker.
SECONDS_AT_ONCE = 300.0
PIECE = 500
Status = Subscriber.Status
Row = TypeVar("Row", bound=Model)


@dataclass
class LetGo:
    """How many of each kind a run let go."""

    unconfirmed: int = 0
    unsubscribed: int = 0
    former_addresses: int = 0
    requests: int = 0


def let_go(now: datetime | None = None, *, seconds: float | None = None) -> LetGo:
    """Forget whoever's time is over, for `seconds` at most; the rest is next."""
    at = now or timezone.now()
    ends = time.monotonic() + seconds if seconds else None
    return LetGo(
        unconfirmed=_each(unconfirmed(at), forget, ends),
        unsubscribed=_each(unsubscribed(at), forget, ends),
        former_addresses=_each(stale_moves(at), forget_move, ends)
        + _each(moved_long_ago(at), forget_former, ends)
        + sum(map(let_go_of, _in_turn(without_subscriber(at), ends))),
        requests=_drop_unresolved(at),
    )


def unconfirmed(at: datetime) -> SubscriberQuerySet:
    """Who never confirmed, and has no link left that could still be pressed."""
    quiet = at - timedelta(days=settings.RETAIN_UNCONFIRMED_DAYS)
    permission = Q(permission_asked_at=None) | Q(
        permission_asked_at__lte=at - PERMIT_WITHIN
    )
    return _quiet_since(quiet, "created_at", "asked_at", "acted_at").filter(
        permission, _no_move_at(at), status=Status.UNCONFIRMED
    )


def unsubscribed(at: datetime) -> SubscriberQuerySet:
    """Who left, and has been silent since."""
    quiet = at - timedelta(days=settings.RETAIN_UNSUBSCRIBED_DAYS)
    return _quiet_since(quiet, "unsubscribed_at", "acted_at").filter(
        _no_move_at(at), status=Status.UNSUBSCRIBED
    )


def stale_moves(at: datetime) -> SubscriberQuerySet:
    """Who wanted to move, and did not press the link at the new address in time."""
    return Subscriber.objects.filter(
        moving_to__isnull=False, moving_asked_at__lte=at - MOVE_WITHIN
    )


def moved_long_ago(at: datetime) -> SubscriberQuerySet:
    """Whose former address was told of the move, and is of no use any more."""
    return Subscriber.objects.filter(
        moved_from__isnull=False, moved_at__lte=at - MOVE_WITHIN
    )


def _quiet_since(at: datetime, *signs: str) -> SubscriberQuerySet:
    """None of these columns is newer; GREATEST passes over the empty ones."""
    return Subscriber.objects.annotate(heard=Greatest(*signs)).filter(heard__lte=at)


def _no_move_at(at: datetime) -> Q:
    return Q(moving_to=None) | Q(moving_asked_at__lte=at - MOVE_WITHIN)


def _each(
    people: SubscriberQuerySet, do: Callable[[Subscriber], None], ends: float | None
) -> int:
    return sum(_one(people, found.pk, do) for found in _in_turn(people, ends))


def _in_turn(rows: QuerySet[Row], ends: float | None) -> Iterator[Row]:
    """All rows by their ids, as they were when their piece began; until `ends`."""
    last = 0
    while piece := list(rows.filter(pk__gt=last).order_by("pk")[:PIECE]):
        for row in piece:
            if ends and time.monotonic() > ends:
                return
            yield row
        last = piece[-1].pk


@transaction.atomic
def _one(people: SubscriberQuerySet, pk: int, do: Callable[[Subscriber], None]) -> bool:
    """Asked again with the row in hand: the person may have come back just now."""
    found = people.filter(pk=pk).select_related("recipient")
    subscriber = found.select_for_update(of=("self",), skip_locked=True).first()
    if subscriber is None:
        return False
    do(subscriber)
    return True


@transaction.atomic
def _drop_unresolved(at: datetime) -> int:
    before = at - UNRESOLVED_FOR
    dropped = 0
    for model in (SignUp, LinkRequest):
        dropped += model.objects.filter(created_at__lte=before).delete()[0]
    KeptAsking.objects.filter(until__lte=at).delete()
    return dropped
