"""The chain. Writers never wait for it; until it runs, an entry is unsealed."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256

from django.db import connection, transaction

from ledger.canonical import canonical_json
from ledger.models import Entry, Seal, Unsealed

# One sealer at a time; the number names the lock and means nothing else.
LOCK = 7_305_001
GENESIS = "0" * 64


@dataclass(frozen=True)
class Head:
    """The newest link: printed in public, so that nobody can rewrite behind it."""

    position: int
    hash: str
    day: datetime


def head() -> Head | None:
    """The newest link, or None before anything was sealed."""
    last = Seal.objects.order_by("-position").first()
    return Head(last.position, last.chain, last.sealed_at) if last else None


@transaction.atomic
def seal(limit: int = 5_000) -> int:
    """Chain up to `limit` unsealed entries; the number chained.

    0 as well when another sealer is at work: that one does the job.
    """
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_try_advisory_xact_lock(%s)", [LOCK])
        if not cursor.fetchone()[0]:
            return 0
    entries = list(Entry.objects.filter(unsealed__isnull=False).order_by("pk")[:limit])
    last = Seal.objects.order_by("-position").first()
    position, chain = (last.position, last.chain) if last else (0, GENESIS)
    seals = []
    for entry in entries:
        position += 1
        chain = link(chain, position, entry)
        seals.append(Seal(position=position, entry=entry, chain=chain))
    Seal.objects.bulk_create(seals)
    Unsealed.objects.filter(entry__in=entries).delete()
    return len(seals)


def position_of(entry_ids: Iterable[int]) -> dict[int, int]:
    """Each sealed entry's place in the chain, by its id; the newest may lack one."""
    seals = Seal.objects.filter(entry__in=list(entry_ids))
    return dict(seals.values_list("entry", "position"))


def link(previous: str, position: int, entry: Entry) -> str:
    """The chain's hash at `position`: over the link before and the whole entry."""
    return sha256(
        canonical_json(
            {
                "previous": previous,
                "position": position,
                "entry": entry.pk,
                "kind": entry.kind,
                "salt": entry.salt,
                "commitment": entry.commitment,
                "recorded_at": entry.recorded_at.isoformat(),
            }
        )
    ).hexdigest()
