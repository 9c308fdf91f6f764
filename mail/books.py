"""The moment of sending, written down for all connections of a process together.

One statement notes what was accepted and turns queued deliveries into handing_over; it
is committed before their bodies leave. Each costs PostgreSQL the same whether it is
about one message or eighty, so couriers that wait for each other share one.
"""

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

import structlog
from django.db import DatabaseError, connection
from django.utils import timezone

from mail.claiming import Claim, lease, prepared_cursor, release
from mail.outages import persistently

log = structlog.get_logger(__name__)

GATHER_SECONDS = 0.001
# A person's consent for tips; a block by hand for everything else.
_MAY_RECEIVE = """
    CASE delivery.kind
    WHEN 'tip' THEN recipient.may_receive AND recipient.suppressed_at IS NULL
    ELSE recipient.suppression <> 'manual' END
"""
_IS_HELD = """
    EXISTS (SELECT FROM mail_batch AS batch
        WHERE batch.id = delivery.batch_id AND batch.state <> 'running')
"""
# An outcome that comes after its lease still settles what the sweep called uncertain,
# or what a person queued again: the fence says that it is about this very hand-over.
_EXCHANGE = f"""
    WITH accepted AS (
        UPDATE mail_delivery AS delivery SET
            state = 'accepted', smtp_reply = mine.reply, reason = '',
            leased_until = NULL, finished_at = %s, message = NULL
        FROM unnest(%s::bigint[], %s::bigint[], %s::text[]) AS mine (id, fence, reply)
        WHERE delivery.id = mine.id AND delivery.fence = mine.fence
            AND delivery.state IN ('handing_over', 'uncertain', 'queued')),
    begun AS (
        UPDATE mail_delivery AS delivery SET
            state = 'handing_over', attempts = attempts + 1, fence = fence + 1,
            leased_until = %s
        FROM unnest(%s::bigint[]) AS mine (id), mail_recipient AS recipient
        WHERE delivery.id = mine.id AND delivery.state = 'queued'
            AND delivery.due_at <= %s AND delivery.expires_at > %s
            AND recipient.id = delivery.recipient_id
            AND {_MAY_RECEIVE} AND NOT {_IS_HELD}
        RETURNING delivery.id, delivery.fence)
    SELECT id, fence FROM begun
"""  # noqa: S608 - constants
_GIVE_UP = f"""
    UPDATE mail_delivery AS delivery SET
        state = CASE WHEN {_MAY_RECEIVE} THEN 'refused' ELSE 'dropped' END,
        reason = CASE WHEN {_MAY_RECEIVE} THEN 'expired'
            ELSE 'recipient may not receive this' END,
        finished_at = %s, message = NULL
    FROM mail_recipient AS recipient
    WHERE delivery.id = ANY(%s::bigint[]) AND delivery.state = 'queued'
        AND recipient.id = delivery.recipient_id
        AND (NOT ({_MAY_RECEIVE}) OR delivery.expires_at <= %s) AND NOT {_IS_HELD}
"""  # noqa: S608 - constants


@dataclass(frozen=True)
class Handover:
    """A delivery that is being handed over, and by which of its hand-overs."""

    claim: Claim
    fence: int
    reply: str = ""


@dataclass(eq=False)
class _Entry:
    """What one courier wants written; the others' answers are none of its business."""

    accepted: Sequence[Handover]
    wanted: Sequence[Claim]
    begun: list[Handover] = field(default_factory=list)
    is_written: bool = False
    # Set when it is written, or when its courier has to write.
    turn: threading.Event = field(default_factory=threading.Event)


class Books:
    """Combines what a process's couriers want to write at the same moment.

    One of them writes for all who wait; it gives those who are about to come
    `GATHER_SECONDS` (as PostgreSQL's commit_delay does).
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._waiting: list[_Entry] = []
        self._is_writing = False
        self._couriers = 0
        self._everybody_waits = threading.Event()

    @contextmanager
    def open(self) -> Iterator[None]:
        """While a courier is at work: the others may wait for it a moment."""
        with self._lock:
            self._couriers += 1
        try:
            yield
        finally:
            with self._lock:
                self._couriers -= 1

    def exchange(
        self, accepted: Sequence[Handover], wanted: Sequence[Claim]
    ) -> list[Handover]:
        """Note `accepted`; those of `wanted` whose bodies may leave now.

        The rest stays out for a reason that is written down: no consent any more, past
        its day, a batch that is held, somebody else was first. Waits for a database
        that is away.
        """
        entry = _Entry(accepted, wanted)
        with self._lock:
            self._waiting.append(entry)
            if len(self._waiting) >= self._couriers:
                self._everybody_waits.set()
            writes, self._is_writing = not self._is_writing, True
        if not writes:
            entry.turn.wait()
        if not entry.is_written:
            self._write()
        return entry.begun

    def _write(self) -> None:
        """For everybody who waits; then the pen goes to whoever came meanwhile."""
        self._everybody_waits.wait(GATHER_SECONDS)
        with self._lock:
            entries, self._waiting = self._waiting, []
            self._everybody_waits.clear()
        try:
            left = persistently(lambda: _write_down(entries))
            _let_go(left)
        finally:
            with self._lock:
                # Where it failed the others try for themselves, one after the other.
                self._waiting[:0] = [one for one in entries[1:] if not one.is_written]
                self._is_writing = bool(self._waiting)
                if self._waiting:
                    self._waiting[0].turn.set()
            for one in entries:
                if one.is_written:
                    one.turn.set()


def _write_down(entries: list[_Entry]) -> list[int]:
    """Those that were wanted and could not begin."""
    now = timezone.now()
    accepted = [one for entry in entries for one in entry.accepted]
    # PostgreSQL changes a row once in a statement: that it was taken counts.
    taken = {one.claim.id for one in accepted}
    wanted = [
        one.id for entry in entries for one in entry.wanted if one.id not in taken
    ]
    with prepared_cursor() as cursor:
        cursor.execute(
            _EXCHANGE,
            [
                now,
                [one.claim.id for one in accepted],
                [one.fence for one in accepted],
                [one.reply for one in accepted],
                now + lease(),
                wanted,
                now,
                now,
            ],
            prepare=True,
        )
        fences = dict(cursor.fetchall())
    left = [one for one in wanted if one not in fences]
    for entry in entries:
        # Taken out: where two claimed the same, the first alone hands over.
        entry.begun = [
            Handover(one, fences.pop(one.id))
            for one in entry.wanted
            if one.id in fences
        ]
        entry.is_written = True
    return left


def _let_go(ids: list[int]) -> None:
    """Give up those without consent or past their day; the rest is anybody's again."""
    if not ids:
        return
    now = timezone.now()
    try:
        with connection.cursor() as cursor:
            cursor.execute(_GIVE_UP, [now, ids, now])
        release(ids)
    except DatabaseError:
        # Their claims end by themselves; those that were begun must not wait.
        log.warning("database away, claims were not let go", count=len(ids))
        connection.close()
