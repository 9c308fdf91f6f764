import secrets
from collections.abc import Sequence
from hashlib import sha256
from typing import TypeVar

from django.db import transaction

from ledger.canonical import Json, canonical_json
from ledger.models import Attested, Entry, Redaction, Unsealed

Row = TypeVar("Row", bound=Attested)


class TakenAway(Exception):
    """This very text was redacted: it does not come back."""


def new_salt() -> str:
    """32 random bytes, hexadecimal: without them facts could be guessed and tried."""
    return secrets.token_hex(32)


def commitment(salt: str, facts: dict[str, Json]) -> str:
    """SHA-256 in hexadecimal over the salt's 32 bytes and the canonical facts."""
    return sha256(bytes.fromhex(salt) + canonical_json(facts)).hexdigest()


def record(kind: str, facts: dict[str, Json], *, using: str = "default") -> Entry:
    """Commit to `facts`; the caller keeps them beside the entry it gets.

    Part of the caller's transaction: fact and entry come into being together.
    """
    salt = new_salt()
    with transaction.atomic(using=using):
        entry = Entry.objects.using(using).create(
            kind=kind, salt=salt, commitment=commitment(salt, facts)
        )
        Unsealed.objects.using(using).create(entry=entry)
    return entry


def attest(row: Row, *, using: str = "default") -> Row:
    """Insert `row` together with the ledger's commitment to its facts.

    Raises TakenAway for a text that was redacted.
    """
    with transaction.atomic(using=using):
        row.entry = record(row.KIND, row.facts(), using=using)
        row.save(force_insert=True, using=using)
        if row.REDACTED:
            # REDACTED asks for such a column.
            refuse_taken_away(row.digest, using=using)  # type: ignore[attr-defined]
    return row


@transaction.atomic
def attest_many(rows: Sequence[Row]) -> None:
    """As `attest`, for many rows of one model without texts to redact."""
    salts = [new_salt() for _ in rows]
    entries = Entry.objects.bulk_create(
        Entry(kind=row.KIND, salt=salt, commitment=commitment(salt, row.facts()))
        for row, salt in zip(rows, salts, strict=True)
    )
    Unsealed.objects.bulk_create(Unsealed(entry=entry) for entry in entries)
    for row, entry in zip(rows, entries, strict=True):
        row.entry = entry
    for model in {type(row) for row in rows}:
        model._default_manager.bulk_create(rows)


def refuse_taken_away(digest: str, *, using: str = "default") -> None:
    """Raise TakenAway if the text with this digest was redacted.

    Ask after the text was written: a redaction under way kept the writer waiting.
    """
    if Redaction.objects.using(using).filter(digest=digest).exists():
        raise TakenAway("This very text was taken away for a lawful reason.")


def is_authentic(row: Attested) -> bool:
    """Whether `row` still says what the ledger committed to (its `entry` loaded)."""
    return commits_to(row.entry, row)


def commits_to(entry: Entry, row: Attested) -> bool:
    """Whether `entry` was made over what `row` says now."""
    try:
        said = commitment(entry.salt, row.facts())
    except (TypeError, ValueError):
        # Altered into something that the ledger could not have committed to.
        return False
    return said == entry.commitment
