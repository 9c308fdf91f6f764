"""The list as a table for its operator. The site itself keeps no copy of one."""

from collections.abc import Iterator

from django.db import transaction

from newsletter import cells
from newsletter.models import Subscriber

AT_ONCE = 2_000
# Topics come last and only when asked for: they are about health (GDPR 9).
COLUMNS = {
    "address": "recipient__address",
    "status": "status",
    "signed_up_at": "created_at",
    "confirmed_at": "confirmed_at",
    "unsubscribed_at": "unsubscribed_at",
    "frequency": "frequency",
    "time_zone": "time_zone",
    "paused_until": "paused_until",
    "may_be_mailed": "recipient__may_receive",
    "not_mailed_because": "recipient__suppression",
}
TOPICS = "topics"


def export_lines(*, status: str = "", with_topics: bool = False) -> Iterator[str]:
    """Lines of CSV, a heading first; everybody, or who has `status`.

    A cursor of the server's reads one snapshot, so memory is bounded and nobody is in
    it twice.
    """
    yield from cells.lines([[*COLUMNS, *([TOPICS] if with_topics else [])]])
    people = Subscriber.objects.order_by("pk")
    if status:
        people = people.filter(status=status)
    columns = [*COLUMNS.values(), *([TOPICS] if with_topics else [])]
    with transaction.atomic():
        rows = people.values_list(*columns).iterator(chunk_size=AT_ONCE)
        yield from cells.lines(_spelled(row) for row in rows)


def _spelled(row: tuple[object, ...]) -> Iterator[object]:
    for value in row:
        yield " ".join(value) if isinstance(value, list) else value
