"""How fast a batch leaves, in total and for one domain: each row's own `due_at`.

Nothing waits and nothing counts while sending: whoever is due earlier leaves earlier.
"""

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from django.conf import settings
from django.core.exceptions import EmptyResultSet
from django.db import connection
from django.db.models import Value
from django.db.models.functions import Greatest
from django.utils import timezone

from mail.models import Batch


def paced(rows: str, params: Sequence[Any]) -> tuple[str, list[Any]]:
    """SQL and its parameters for `rows` (id, due_at): nobody earlier, none too close.

    Each comes a gap after the one before, or when it wishes: the latest wish so far and
    a gap for every place since. First each domain's gap (1 / pace), then everybody's.
    """
    found = list(params)
    if settings.MAIL_DOMAIN_PACES:
        rows, found = _by_domain(rows, found)
    if settings.MAIL_PACE:
        gap = _gap(settings.MAIL_PACE)
        rows, found = _in_turn(rows, "", "%s::interval"), [gap, gap, *found]
    return rows, found


def spread(batch: Batch) -> None:
    """Pace what waits anew, from now on: after a pause it would leave all at once."""
    if not settings.MAIL_PACE and not settings.MAIL_DOMAIN_PACES:
        return
    wish = Greatest("due_at", Value(timezone.now()))
    wishes = batch.deliveries.waiting().values_list("recipient", wish)
    try:
        rows, params = paced(*wishes.query.sql_with_params())
    except EmptyResultSet:
        return
    with connection.cursor() as cursor:
        cursor.execute(
            f"""
            UPDATE mail_delivery AS delivery SET due_at = paced.due_at
            FROM ({rows}) AS paced (id, due_at)
            WHERE delivery.batch_id = %s AND delivery.recipient_id = paced.id
                AND delivery.state = 'queued'
            """,  # noqa: S608 - SQL of ours; values are parameters
            [*params, batch.pk],
        )


def _by_domain(rows: str, params: list[Any]) -> tuple[str, list[Any]]:
    paces = settings.MAIL_DOMAIN_PACES
    with_gaps = f"""
        SELECT wish.id, wish.due_at, pace.domain, pace.gap
        FROM ({rows}) AS wish (id, due_at)
        JOIN mail_recipient AS recipient ON recipient.id = wish.id
        LEFT JOIN unnest(%s::text[], %s::interval[]) AS pace (domain, gap)
            ON pace.domain = split_part(recipient.address, '@', 2)
    """  # noqa: S608 - `rows` is SQL of ours
    in_turn = _in_turn(with_gaps, "PARTITION BY domain", "COALESCE(gap, '0')")
    return in_turn, [*params, list(paces), [_gap(pace) for pace in paces.values()]]


def _in_turn(rows: str, partition: str, gap: str) -> str:
    return f"""
        SELECT id, place * {gap} + max(due_at - place * {gap})
            OVER ({partition} ORDER BY due_at, id) AS due_at
        FROM (SELECT *, row_number() OVER ({partition} ORDER BY due_at, id) AS place
            FROM ({rows}) AS wish (id, due_at)) AS placed
    """  # noqa: S608 - constants around `rows`


def _gap(per_minute: int) -> timedelta:
    return timedelta(minutes=1) / per_minute
