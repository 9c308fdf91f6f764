"""What a clinician signed, and what follows from it.

This package face is the door: other apps use these names and nothing else.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from review.charts import draw as draw
    from review.content import canonical as canonical
    from review.content import digest as digest
    from review.content import digest_of_stored as digest_of_stored
    from review.diffing import Difference as Difference
    from review.diffing import compare as compare
    from review.lines import ReviewLine as ReviewLine
    from review.lines import line_of as line_of
    from review.models import Clinician as Clinician
    from review.models import ReviewRequest as ReviewRequest
    from review.models import SignOff as SignOff
    from review.periods import Period as Period
    from review.periods import starts_of as starts_of
    from review.readability import Reading as Reading
    from review.readability import reading as reading
    from review.requesting import call_back as call_back
    from review.requesting import note_newer_text as note_newer_text
    from review.requesting import put_in_use as put_in_use
    from review.requesting import request as request
    from review.requesting import take_out_of_use as take_out_of_use
    from review.signing import AlreadyAnswered as AlreadyAnswered
    from review.signing import NotAllowedToSign as NotAllowedToSign
    from review.signing import hold as hold
    from review.signing import sign as sign
    from review.standing_of import Standing as Standing
    from review.standing_of import State as State
    from review.standing_of import standing as standing
    from review.standing_of import standings as standings
    from review.standing_of import state_of as state_of
    from review.workbench import DeskAdmin as DeskAdmin
    from review.workbench import ReadOnlyDesk as ReadOnlyDesk
    from review.workbench import StandingFilter as StandingFilter
    from review.workbench import Verb as Verb
    from review.workbench import admin_url as admin_url
    from review.workbench import posted as posted
    from review.workbench import read_pk as read_pk

_DOOR = {
    "draw": "charts",
    "canonical": "content",
    "digest": "content",
    "digest_of_stored": "content",
    "Difference": "diffing",
    "compare": "diffing",
    "ReviewLine": "lines",
    "line_of": "lines",
    "Clinician": "models",
    "ReviewRequest": "models",
    "SignOff": "models",
    "Period": "periods",
    "starts_of": "periods",
    "Reading": "readability",
    "reading": "readability",
    "call_back": "requesting",
    "note_newer_text": "requesting",
    "put_in_use": "requesting",
    "request": "requesting",
    "take_out_of_use": "requesting",
    "AlreadyAnswered": "signing",
    "NotAllowedToSign": "signing",
    "hold": "signing",
    "sign": "signing",
    "Standing": "standing_of",
    "State": "standing_of",
    "standing": "standing_of",
    "standings": "standing_of",
    "state_of": "standing_of",
    "DeskAdmin": "workbench",
    "ReadOnlyDesk": "workbench",
    "StandingFilter": "workbench",
    "Verb": "workbench",
    "admin_url": "workbench",
    "posted": "workbench",
    "read_pk": "workbench",
}
__all__ = sorted(_DOOR)


def __getattr__(name: str) -> Any:
    """Models can't be imported while Django is still reading its app list."""
    if name not in _DOOR:
        raise AttributeError(name)
    return getattr(import_module(f"review.{_DOOR[name]}"), name)
