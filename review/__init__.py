"""What a clinician signed, and what follows from it.

This package face is the door: other apps use these names and nothing else.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from review.content import canonical as canonical
    from review.content import digest as digest
    from review.models import Clinician as Clinician
    from review.models import SignOff as SignOff
    from review.signing import NotAllowedToSign as NotAllowedToSign
    from review.signing import sign as sign
    from review.standing_of import Standing as Standing
    from review.standing_of import standing as standing

_DOOR = {
    "canonical": "content",
    "digest": "content",
    "Clinician": "models",
    "SignOff": "models",
    "NotAllowedToSign": "signing",
    "sign": "signing",
    "Standing": "standing_of",
    "standing": "standing_of",
}
__all__ = sorted(_DOOR)


def __getattr__(name: str) -> Any:
    """Models can't be imported while Django is still reading its app list."""
    if name not in _DOOR:
        raise AttributeError(name)
    return getattr(import_module(f"review.{_DOOR[name]}"), name)
