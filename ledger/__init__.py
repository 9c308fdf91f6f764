"""Evidence: facts written once, chained, never changed. Knows nobody.

This package face is the door: other apps use these names and nothing else.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ledger.backfilling import attest_existing as attest_existing
    from ledger.canonical import canonical_json as canonical_json
    from ledger.models import Attested as Attested
    from ledger.models import Entry as Entry
    from ledger.models import Evidence as Evidence
    from ledger.models import Redaction as Redaction
    from ledger.proving import Proof as Proof
    from ledger.proving import prove as prove
    from ledger.readonly import ReadOnlyAdmin as ReadOnlyAdmin
    from ledger.recording import TakenAway as TakenAway
    from ledger.recording import attest as attest
    from ledger.recording import attest_many as attest_many
    from ledger.recording import is_authentic as is_authentic
    from ledger.recording import record as record
    from ledger.recording import refuse_taken_away as refuse_taken_away
    from ledger.redacting import is_redacted as is_redacted
    from ledger.sealing import Head as Head
    from ledger.sealing import head as head
    from ledger.sealing import position_of as position_of
    from ledger.verifying import Verification as Verification
    from ledger.verifying import verify as verify

_DOOR = {
    "attest_existing": "backfilling",
    "canonical_json": "canonical",
    "Attested": "models",
    "Entry": "models",
    "Evidence": "models",
    "Proof": "proving",
    "prove": "proving",
    "ReadOnlyAdmin": "readonly",
    "Redaction": "models",
    "TakenAway": "recording",
    "attest": "recording",
    "attest_many": "recording",
    "is_authentic": "recording",
    "is_redacted": "redacting",
    "record": "recording",
    "refuse_taken_away": "recording",
    "Head": "sealing",
    "head": "sealing",
    "position_of": "sealing",
    "Verification": "verifying",
    "verify": "verifying",
}
__all__ = sorted(_DOOR)


def __getattr__(name: str) -> Any:
    """Models can't be imported while Django is still reading its app list."""
    if name not in _DOOR:
        raise AttributeError(name)
    return getattr(import_module(f"ledger.{_DOOR[name]}"), name)
