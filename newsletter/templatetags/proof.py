"""How a proof of consent spells times, facts and states."""

from datetime import UTC, datetime
from typing import Any

from django import template

from ledger import canonical_json

register = template.Library()
CONTEXT = {
    "none": "nothing was noted",
    "erased": "erased; the commitment stays",
    "matches": "says what was committed to",
    "changed": "is NOT what was committed to",
}


@register.filter
def clock(at: str | None) -> str:
    """An ISO time in words, in UTC; "" for none."""
    if not at:
        return ""
    return f"{datetime.fromisoformat(at).astimezone(UTC):%-d %B %Y, %H:%M:%S} UTC"


@register.filter
def brief(at: str | None) -> str:
    """The same for a narrow column, to the minute."""
    return f"{datetime.fromisoformat(at).astimezone(UTC):%-d %b %Y %H:%M}" if at else ""


@register.filter
def as_json(facts: dict[str, Any]) -> str:
    """The very text that the commitment is over."""
    return canonical_json(facts).decode()


@register.filter
def context_words(state: str) -> str:
    return CONTEXT[state]
