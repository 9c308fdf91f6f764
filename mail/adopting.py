"""Making an environment the one that a database sends from."""

from dataclasses import dataclass

from django.db import connection, transaction
from django.db.models import Count
from django.utils import timezone

from mail.closing import finish_batches
from mail.environment import Finding, Place
from mail.hosts import Host, remember, this_host
from mail.models import Batch, BatchEvent, Delivery, Environment
from mail.pausing import note

CALLED_BACK = "called back when the database was adopted"


class AdoptedMeanwhile(Exception):
    """The record is no longer the one that was looked at."""


@dataclass(frozen=True)
class Waiting:
    """`batch` and its state are empty for single mails."""

    count: int
    kind: str
    batch: str
    batch_state: str


def what_waits() -> list[Waiting]:
    """What an environment that is released would send."""
    rows = (
        Delivery.objects.waiting()
        .values_list("kind", "batch", "batch__name", "batch__state")
        .annotate(count=Count("pk"))
        .order_by("kind", "batch")
    )
    return [
        Waiting(count, kind, name or "", state or "")
        for kind, _, name, state, count in rows
    ]


@transaction.atomic
def adopt(found: Finding, *, drop: bool = False) -> int:
    """From now on this environment sends; how many that waited were called back.

    Raises AdoptedMeanwhile when the record is no longer the one in `found`: of two
    people at once one does it.
    """
    host = found.host or this_host()
    with connection.cursor() as cursor:
        # There may be no row yet to lock.
        cursor.execute("LOCK TABLE mail_environment IN SHARE ROW EXCLUSIVE MODE")
    recorded = Environment.objects.first()
    if _version(recorded) != _version(found.recorded):
        raise AdoptedMeanwhile
    row = _row(found, host)
    row.save(force_insert=recorded is None, force_update=recorded is not None)
    known = Host(host.key, found.here.database, row.heartbeat_at)
    transaction.on_commit(lambda: remember(known))
    return _drop_waiting() if drop else 0


def _version(recorded: Environment | None) -> object:
    return recorded and recorded.adopted_at


def _row(found: Finding, host: Host) -> Environment:
    """Ahead of what any host remembers, so that one command releases all of them.

    Hosts of another place are forgotten: what they knew is not this database.
    """
    here, recorded = found.here, found.recorded
    stays = recorded is not None and _place(recorded) == here
    known = recorded.hosts if recorded and stays else []
    beats = [found.now, host.heartbeat_at, recorded and recorded.heartbeat_at]
    return Environment(
        system_identifier=here.system_identifier,
        database_oid=here.database_oid,
        database_name=here.database_name,
        site_url=here.site_url,
        hosts=[*known, *({host.key} - set(known))],
        heartbeat_at=max(beat for beat in beats if beat),
        restored_at=None,
        adopted_at=found.now,
    )


def _place(recorded: Environment) -> Place:
    return Place(
        recorded.system_identifier,
        recorded.database_oid,
        recorded.database_name,
        recorded.site_url,
    )


def _drop_waiting() -> int:
    waiting = Delivery.objects.waiting()
    open_ones = Batch.objects.filter(
        state__in=[Batch.State.RUNNING, Batch.State.PAUSED],
        pk__in=waiting.values("batch"),
    )
    locked = open_ones.order_by("pk").select_for_update(no_key=True)
    batches = list(locked.values_list("pk", flat=True))
    for batch_id in batches:
        note(batch_id, BatchEvent.Act.CANCELLED, by=None, about=CALLED_BACK)
    Batch.objects.filter(pk__in=batches).update(
        state=Batch.State.CANCELLED, pause_reason=""
    )
    dropped = waiting.update(
        state=Delivery.State.DROPPED,
        reason=CALLED_BACK,
        finished_at=timezone.now(),
        message=None,
    )
    finish_batches()
    return dropped
