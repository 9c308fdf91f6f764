"""Consent, subscribers and the tips they get.

This package face is the door: other apps use these names and nothing else.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from newsletter.models import Subscriber as Subscriber
    from newsletter.subscribing import signup_is_open as signup_is_open

_DOOR = {"Subscriber": "models", "signup_is_open": "subscribing"}
__all__ = sorted(_DOOR)


def __getattr__(name: str) -> Any:
    """Models can't be imported while Django is still reading its app list."""
    if name not in _DOOR:
        raise AttributeError(name)
    return getattr(import_module(f"newsletter.{_DOOR[name]}"), name)
