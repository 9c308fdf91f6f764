"""Local time, as PostgreSQL knows it: slots are what people's own clocks read.

Nothing here asks Python's time zones. Countries change their clocks at short notice,
and two copies of the time zone database need not be of the same age.
"""

from datetime import date, datetime, timedelta

from django.db import connection
from django.db.models import CharField, DateTimeField, Func, Value
from django.db.models.expressions import Combinable

# The zones furthest ahead of UTC and furthest behind it (IANA time zone database).
FIRST_ZONE = timedelta(hours=14)
LAST_ZONE = timedelta(hours=-12)


class KnownZone(Func):
    """The zone a column names, or UTC where this PostgreSQL knows none of that name.

    A stray name must not keep everybody else's mail from being queued.
    """

    template = (
        "CASE WHEN %(expressions)s IN (SELECT name FROM pg_timezone_names)"
        " THEN %(expressions)s ELSE 'UTC' END"
    )
    arity = 1
    output_field = CharField()


class WhenClocksRead(Func):
    """The instant at which the clocks of a column's zone read a slot.

    Clocks that skip that time (spring) read it as much later as they were put forward;
    clocks that read it twice (autumn) count the second time.
    """

    function = "timezone"
    output_field = DateTimeField()

    def __init__(self, slot: datetime, zone: Combinable) -> None:
        """`slot` is a local date and time, written as if it were UTC."""
        naive = Func(Value("UTC"), Value(slot), function="timezone")
        super().__init__(KnownZone(zone), naive)


class ClockReading(Func):
    """What the clocks of a column's zone read at an instant, without a zone."""

    function = "timezone"
    output_field = DateTimeField()

    def __init__(self, at: Combinable, zone: Combinable) -> None:
        super().__init__(KnownZone(zone), at)


def day_begins(day: date, zone: str) -> datetime:
    """When `day` begins on the clocks of a zone that PostgreSQL knows."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT %s::timestamp AT TIME ZONE %s", [day, zone])
        at = cursor.fetchone()[0]
    assert isinstance(at, datetime), "PostgreSQL adds the zone"  # noqa: S101
    return at


def week_of(slot: datetime) -> tuple[datetime, datetime]:
    """From Monday's midnight to the next one, around `slot`."""
    monday = _midnight(slot) - timedelta(days=slot.weekday())
    return monday, monday + timedelta(days=7)


def month_of(slot: datetime) -> tuple[datetime, datetime]:
    """From the first day's midnight to the next month's, around `slot`."""
    first = _midnight(slot).replace(day=1)
    return first, (first + timedelta(days=31)).replace(day=1)


def _midnight(slot: datetime) -> datetime:
    return slot.replace(hour=0, minute=0, second=0, microsecond=0)
