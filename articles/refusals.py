from collections.abc import Callable
from functools import wraps
from typing import ParamSpec, TypeVar

from ledger import TakenAway

Given = ParamSpec("Given")
Result = TypeVar("Result")


class Refused(Exception):
    """A verb said no; the message tells a person why and what to do instead."""


def kindly(verb: Callable[Given, Result]) -> Callable[Given, Result]:
    """A redacted text is refused like anything else that can't be done."""

    @wraps(verb)
    def told(*args: Given.args, **kwargs: Given.kwargs) -> Result:
        try:
            return verb(*args, **kwargs)
        except TakenAway as error:
            raise Refused(str(error)) from error

    return told
