"""Evidence: facts written once, chained, never changed. Knows nobody.

This package face is the door: other apps use these names and nothing else.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ledger.canonical import canonical_json as canonical_json
    from ledger.models import Entry as Entry
    from ledger.models import Evidence as Evidence
    from ledger.readonly import ReadOnlyAdmin as ReadOnlyAdmin
    from ledger.recording import record as record
    from ledger.sealing import Head as Head
    from ledger.sealing import head as head

_DOOR = {
    "canonical_json": "canonical",
    "Entry": "models",
    "Evidence": "models",
    "ReadOnlyAdmin": "readonly",
    "record": "recording",
    "Head": "sealing",
    "head": "sealing",
}
__all__ = sorted(_DOOR)


def __getattr__(name: str) -> Any:
    """Models can't be imported while Django is still reading its app list."""
    if name not in _DOOR:
        raise AttributeError(name)
    return getattr(import_module(f"ledger.{_DOOR[name]}"), name)
