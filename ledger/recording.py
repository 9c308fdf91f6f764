import secrets
from hashlib import sha256

from django.db import transaction

from ledger.canonical import Json, canonical_json
from ledger.models import Entry, Unsealed


def commitment(salt: str, facts: dict[str, Json]) -> str:
    """SHA-256 in hexadecimal over the salt's 32 bytes and the canonical facts."""
    return sha256(bytes.fromhex(salt) + canonical_json(facts)).hexdigest()


@transaction.atomic
def record(kind: str, facts: dict[str, Json]) -> Entry:
    """Commit to `facts`; the caller keeps them beside the entry it gets.

    Part of the caller's transaction: fact and entry come into being together.
    """
    salt = secrets.token_hex(32)
    entry = Entry.objects.create(
        kind=kind, salt=salt, commitment=commitment(salt, facts)
    )
    Unsealed.objects.create(entry=entry)
    return entry
