"""A row of the table that `make chaos` ends with."""

from collections.abc import Sequence
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Result:
    """How one scenario ended; `complaints` are its own conditions that failed."""

    scenario: str
    seed: int
    seconds: float
    kills: int = 0
    eligible: int = 0
    accepted: int = 0
    lost: int = 0
    twice: int = 0
    uncertain: int = 0
    complaints: Sequence[str] = field(default=())

    @property
    def passed(self) -> bool:
        return not (self.lost or self.twice or self.complaints)

    @property
    def verdict(self) -> str:
        return "passed" if self.passed else "FAILED"
