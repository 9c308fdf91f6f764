"""The one error that reaches a person at a terminal."""

from collections.abc import Sequence
from pathlib import Path


class CannotStart(RuntimeError):
    """What stands in the way, in one line, and what to do about it.

    `lines` are the last words of whatever failed, `log` has all of them.
    """

    def __init__(
        self,
        problem: str,
        remedy: str = "",
        *,
        lines: Sequence[str] = (),
        log: Path | None = None,
    ) -> None:
        super().__init__(" ".join(part for part in (problem, remedy, *lines) if part))
        self.problem = problem
        self.remedy = remedy
        self.lines = lines
        self.log = log
