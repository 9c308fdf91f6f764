"""Is the ledger whole? Every link, every commitment, every row that claims to be one.

One pass in the chain's order in bounded memory, on one snapshot of the database. What
was cut off at the end leaves a shorter chain that is whole in itself: only a head that
was printed earlier, a witness, can show that.
"""

from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TypeVar

from django.apps import apps
from django.db import connection, transaction
from django.db.models import DateTimeField, Model, Q, QuerySet

from ledger.models import Attested, Entry, Evidence, Redaction, Seal
from ledger.recording import commits_to
from ledger.redacting import is_redacted
from ledger.sealing import GENESIS, link

AT_ONCE = 2_000
# Of rows with their texts and pictures, which may be megabytes each.
TEXTS_AT_ONCE = 20
# Outside of these Python can't read a time; PostgreSQL can hold one.
EARLIEST, LATEST = (
    datetime(2, 1, 1, tzinfo=UTC),
    datetime(9998, 12, 31, tzinfo=UTC),
)
Progress = Callable[[int, int], None]
Row = TypeVar("Row", bound=Model)


@dataclass(frozen=True)
class Fault:
    """One thing that is not as it was written; `entry` is the ledger's own id."""

    entry: int | None
    sentence: str


@dataclass
class Verification:
    """What was looked at and, in the chain's order, what was found wrong."""

    entries: int = 0
    sealed: int = 0
    faults: list[Fault] = field(default_factory=list)

    @property
    def is_whole(self) -> bool:
        return not self.faults


def verify(
    *,
    witnesses: Sequence[str] = (),
    progress: Progress = lambda done, total: None,
    most: int = 100,
) -> Verification:
    """Look at everything; at most `most` faults are kept, the first one first.

    `witnesses` are heads (hashes) that were printed earlier, in a mail or on the trust
    page. `progress` hears (entries looked at, entries in all).
    """
    with transaction.atomic():
        _one_snapshot()
        found = Verification(entries=Entry.objects.count())
        for fault in _Pass(found, progress).faults(witnesses):
            if len(found.faults) < most:
                found.faults.append(fault)
        return found


def _one_snapshot() -> None:
    """Inside a caller's transaction its own snapshot has to do."""
    if len(connection.savepoint_ids) == 0:
        with connection.cursor() as cursor:
            cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")


class _Pass:
    """One run over the chain; it keeps the counts that `Verification` reports."""

    def __init__(self, found: Verification, progress: Progress) -> None:
        self.found = found
        self.progress = progress
        self.looked_at = 0
        self.redacted = set(Redaction.objects.values_list("digest", flat=True))

    def faults(self, witnesses: Sequence[str]) -> Iterator[Fault]:
        unreadable = list(_impossible_times())
        if unreadable:
            # Whoever loads such a row fails, so nothing more can be looked at.
            yield from unreadable
            return
        yield from self._chain()
        yield from self._waiting()
        yield from _lost_entries()
        yield from _stray_rows()
        for witness in witnesses:
            if not Seal.objects.filter(chain=witness).exists():
                yield Fault(
                    None,
                    f"no link has the printed head {witness}: the chain was rewritten "
                    "or cut off after it was printed",
                )

    def _chain(self) -> Iterator[Fault]:
        previous, position = GENESIS, 0
        for seals in _batches(Seal.objects.order_by("position"), "position"):
            entries = Entry.objects.in_bulk([seal.entry_id for seal in seals])
            facts = self._fact_faults(list(entries.values()))
            for seal in seals:
                position += 1
                if seal.position != position:
                    yield Fault(
                        seal.entry_id,
                        f"links {position} to {seal.position - 1} are gone",
                    )
                    position = seal.position
                entry = entries.get(seal.entry_id)
                if entry is None:
                    yield Fault(seal.entry_id, f"sealed at {position} but gone")
                elif expected_link(previous, position, entry) != seal.chain:
                    yield Fault(
                        seal.entry_id,
                        f"entry or link {position} was changed: the chain breaks here",
                    )
                if seal.entry_id in facts:
                    yield facts[seal.entry_id]
                previous = seal.chain
            self.found.sealed += len(seals)
            self._tell(len(seals))

    def _waiting(self) -> Iterator[Fault]:
        waiting = Entry.objects.filter(unsealed__isnull=False, seal__isnull=True)
        for entries in _batches(waiting.order_by("pk"), "pk"):
            facts = self._fact_faults(entries)
            yield from (facts[entry.pk] for entry in entries if entry.pk in facts)
            self._tell(len(entries))

    def _tell(self, more: int) -> None:
        self.looked_at += more
        self.progress(self.looked_at, self.found.entries)

    def _fact_faults(self, entries: Sequence[Entry]) -> dict[int, Fault]:
        """By entry id: facts that are gone or do not match their commitment."""
        found: dict[int, Fault] = {}
        for kind, model in Attested.kinds().items():
            missing = {entry.pk: entry for entry in entries if entry.kind == kind}
            if not missing:
                continue
            rows = model._default_manager.filter(entry_id__in=list(missing))
            for row in rows.iterator(chunk_size=TEXTS_AT_ONCE):
                # Never `row.entry`: the two would hold each other in memory.
                entry = missing.pop(row.entry_id)
                if sentence := complaint(row, entry, self.redacted):
                    found[row.entry_id] = Fault(row.entry_id, sentence)
            for pk in missing:
                found[pk] = Fault(pk, f"its row in {model._meta.db_table} is gone")
        return found


def complaint(row: Attested, entry: Entry, redacted: Collection[str]) -> str:
    """What is wrong with a row by its entry; `redacted` are digests of blanked texts.

    "" where it says what was committed to.
    """
    table = row._meta.db_table
    if not commits_to(entry, row):
        return f"row {row.pk} of {table} was changed"
    if row.REDACTED and not _text_is_right(row, redacted):
        return f"the text in row {row.pk} of {table} was changed"
    return ""


def _text_is_right(row: Attested, redacted: Collection[str]) -> bool:
    # REDACTED asks for such a column.
    digest = row.digest  # type: ignore[attr-defined]
    return row.text_digest() == digest or (digest in redacted and is_redacted(row))


def expected_link(previous: str, position: int, entry: Entry) -> str:
    """What the link ought to be; "" if no sealer could have made one."""
    try:
        return link(previous, position, entry)
    except ValueError:
        return ""


def _impossible_times() -> Iterator[Fault]:
    """Rows of evidence whose times were altered into what nothing can read."""
    for model in apps.get_models(include_auto_created=True):
        for column in model._meta.concrete_fields:
            if not issubclass(model, Evidence) or not isinstance(column, DateTimeField):
                continue
            name = column.attname
            outside = Q(**{f"{name}__lt": EARLIEST}) | Q(**{f"{name}__gt": LATEST})
            rows = model._default_manager.filter(outside)
            for pk in rows.values_list("pk", flat=True)[:AT_ONCE]:
                yield Fault(
                    None, f"row {pk} of {model._meta.db_table} was changed: {name}"
                )


def _batches(rows: QuerySet[Row], key: str) -> Iterator[list[Row]]:
    """`rows` in lists of AT_ONCE, each asked for after the last one's `key`."""
    last = None
    while True:
        later = rows.filter(**{f"{key}__gt": last}) if last is not None else rows
        batch = list(later[:AT_ONCE])
        if not batch:
            return
        yield batch
        last = getattr(batch[-1], key)


def _lost_entries() -> Iterator[Fault]:
    lost = Entry.objects.filter(seal__isnull=True, unsealed__isnull=True)
    for pk in lost.order_by("pk").values_list("pk", flat=True)[:AT_ONCE]:
        yield Fault(pk, "it was taken out of the chain and is waiting for no seal")


def _stray_rows() -> Iterator[Fault]:
    """Rows that no entry of their kind stands for."""
    for kind, model in Attested.kinds().items():
        known = Entry.objects.filter(kind=kind).values("pk")
        strays = model._default_manager.exclude(entry_id__in=known)
        for pk, entry in strays.values_list("pk", "entry_id")[:AT_ONCE]:
            yield Fault(
                entry, f"row {pk} of {model._meta.db_table} has no entry of its own"
            )
