"""How the list grew and why people left: counts, and nobody by name.

Counted from consent events, which stay when a person is erased.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime

from django.db import connection

from newsletter.models import LeavingReason
from review import Period, starts_of

# Who came in with a file that the operator vouched for has no confirmation here. A
# second confirmation of somebody on the list, and erasing who had left, are no turns.
_TURNS = """
    WITH told AS (
        SELECT subscriber_key, act, occurred_at, id
        FROM newsletter_consentevent
        WHERE matter = 'newsletter' AND act IN ('confirmed', 'withdrawn', 'erased')
        UNION ALL
        SELECT subscriber_key, 'confirmed', min(recorded_at), 0
        FROM newsletter_importedevidence WHERE trusted GROUP BY subscriber_key
    ), turns AS (
        SELECT act, occurred_at,
            coalesce(lag(act) OVER (PARTITION BY subscriber_key
                ORDER BY occurred_at, id), '') AS before
        FROM told
    )
    SELECT date_trunc(%s, occurred_at AT TIME ZONE 'UTC')::date,
        count(*) FILTER (WHERE act = 'confirmed' AND before <> 'confirmed'),
        count(*) FILTER (WHERE act <> 'confirmed' AND before = 'confirmed')
    FROM turns GROUP BY 1 ORDER BY 1
"""


@dataclass(frozen=True)
class Step:
    """A week (from Monday) or a month, in UTC."""

    starts_on: date
    confirmed: int
    left: int
    # When it ended.
    on_the_list: int

    @property
    def net(self) -> int:
        return self.confirmed - self.left


@dataclass(frozen=True)
class Leaving:
    """One reason and how many gave it, month by month as `months` has them."""

    reason: str
    counts: list[int]

    @property
    def total(self) -> int:
        return sum(self.counts)


def growth(period: Period, at: datetime | None = None) -> list[Step]:
    """Two years that end with the period of `at` (now by default), oldest first."""
    turns = _turns(period)
    starts = starts_of(period, at)
    people = sum(came - left for on, (came, left) in turns.items() if on < starts[0])
    steps = []
    for on in starts:
        came, left = turns.get(on, (0, 0))
        people += came - left
        steps.append(Step(on, came, left, people))
    return steps


def _turns(period: Period) -> dict[date, tuple[int, int]]:
    with connection.cursor() as cursor:
        cursor.execute(_TURNS, [period])
        return {on: (came, left) for on, came, left in cursor.fetchall()}


def reasons_for_leaving(months: Sequence[date]) -> list[Leaving]:
    """Every reason one can give, whether or not somebody did."""
    given = LeavingReason.objects.filter(month__gte=months[0])
    counts = {(one.reason, one.month): one.count for one in given}
    return [
        Leaving(one.capitalize(), [counts.get((one, month), 0) for month in months])
        for one in LeavingReason.Reason.values
    ]
