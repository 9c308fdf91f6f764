"""Old deliveries become yearly counts, and addresses that are nobody's any more go.

A piece is one statement: rows go, and the counts they leave come, or neither. So what
was cut off goes on where it stopped, and two at once count nothing twice.
"""

from datetime import datetime, timedelta

import structlog
from django.conf import settings
from django.db import connection, transaction
from django.db.models import Exists, OuterRef
from django.utils import timezone

from mail.manifest import manifest_digest
from mail.models import Batch, Delivery, Recipient

log = structlog.get_logger(__name__)
PIECE = 5_000
_COUNT_UP = """
    WITH gone AS (
        DELETE FROM mail_delivery WHERE id IN (
            SELECT id FROM mail_delivery
            WHERE {of} AND state IN ('accepted', 'refused', 'dropped')
                AND finished_at < %(before)s
            LIMIT %(piece)s FOR UPDATE SKIP LOCKED)
        RETURNING kind, state, reason, bounce, batch_id, finished_at
    ), years AS (
        INSERT INTO mail_yearlycount AS known (year, kind, state, bounce, count)
        SELECT extract(year FROM finished_at AT TIME ZONE 'UTC'), kind, state, bounce,
            count(*)
        FROM gone GROUP BY 1, 2, 3, 4
        ON CONFLICT (year, kind, state, bounce)
            DO UPDATE SET count = known.count + excluded.count
    ), batches AS (
        INSERT INTO mail_batchcount AS known
            (batch_id, state, reason, count, complaints, first_at, last_at)
        SELECT batch_id, state, reason, count(*),
            count(*) FILTER (WHERE bounce = 'complaint'),
            min(finished_at), max(finished_at)
        FROM gone WHERE batch_id IS NOT NULL GROUP BY 1, 2, 3
        ON CONFLICT (batch_id, state, reason)
            DO UPDATE SET count = known.count + excluded.count,
                complaints = known.complaints + excluded.complaints,
                first_at = least(known.first_at, excluded.first_at),
                last_at = greatest(known.last_at, excluded.last_at)
    )
    SELECT count(*) FROM gone
"""


def count_up_old(now: datetime | None = None) -> int:
    """Turn deliveries that ended long ago into counts; how many.

    What is uncertain stays until somebody settles it, and so does all of a batch that
    is still going on.
    """
    before = (now or timezone.now()) - timedelta(days=settings.RETAIN_DELIVERIES_DAYS)
    counted = _all_pieces("batch_id IS NULL", before)
    for batch in _ended(before):
        _note_manifest(batch)
        counted += _all_pieces("batch_id = %(batch)s", before, batch=batch)
    _delete_nobodies()
    return counted


def _all_pieces(of: str, before: datetime, **values: int) -> int:
    counted = 0
    while piece := _count_up(of, before, **values):
        counted += piece
    return counted


def _count_up(of: str, before: datetime, **values: int) -> int:
    with connection.cursor() as cursor:
        cursor.execute(
            _COUNT_UP.format(of=of), {"before": before, "piece": PIECE, **values}
        )
        return int(cursor.fetchone()[0])


def _ended(before: datetime) -> list[int]:
    """Batches that ended and have something to count up."""
    old = Delivery.objects.filter(batch=OuterRef("pk"), finished_at__lt=before)
    ended = Batch.objects.filter(
        Exists(old.exclude(state=Delivery.State.UNCERTAIN)), finished_at__lt=before
    )
    return list(ended.order_by("pk").values_list("pk", flat=True))


@transaction.atomic
def _note_manifest(batch_id: int) -> None:
    """What its manifest was while all of its rows were there; noted once."""
    batch = Batch.objects.select_for_update(no_key=True).get(pk=batch_id)
    if not batch.manifest_sha256:
        batch.manifest_sha256 = manifest_digest(batch)
        batch.counted_up_at = timezone.now()
        batch.save(update_fields=["manifest_sha256", "counted_up_at"])


def _delete_nobodies() -> int:
    """Rows of erased mailboxes that nothing points at any more."""
    theirs = Delivery.objects.filter(recipient=OuterRef("pk"))
    nobodies = Recipient.objects.filter(~Exists(theirs), erased_at__isnull=False)
    deleted = 0
    while ids := list(nobodies.order_by("pk").values_list("pk", flat=True)[:PIECE]):
        deleted += len(ids)
        Recipient.objects.filter(pk__in=ids).delete()
    return deleted
