"""What a mail server can do wrong, and to whom the sink shall do it."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Self

PIPELINING, EIGHT_BIT = "PIPELINING", "8BITMIME"


class Step(StrEnum):
    """How far a conversation came."""

    CONNECT = "connect"
    EHLO = "EHLO"
    MAIL = "MAIL"
    RCPT = "RCPT"
    DATA = "DATA"
    BODY = "body"
    # The final dot came; the message is not taken yet.
    DOT = "dot"
    # The message is in the journal; only the answer is missing.
    TAKEN = "taken"


@dataclass(frozen=True)
class Fault:
    """At `step` the server waits, says `reply` if it has one, and does as told.

    Without a reply it hangs up. `drip_seconds` is the pause between two octets of
    the reply, `times` how often the fault strikes.
    """

    step: Step
    reply: str = ""
    hangs_up: bool = False
    wait_seconds: float = 0
    drip_seconds: float = 0
    times: int = 1

    def __str__(self) -> str:
        return f"{self.reply or 'hangs up'} at {self.step}"


@dataclass(frozen=True)
class Plan:
    """How the sink behaves; each message has an envelope sender of its own."""

    offers: Sequence[str] = (PIPELINING, EIGHT_BIT)
    # How long the server thinks about a message it is going to take.
    seconds_each: float = 0
    # Strikes whoever connects, `times` connections long.
    connections: Fault | None = None
    messages: Mapping[str, Fault] = field(default_factory=dict)

    def write(self, path: Path) -> None:
        path.write_text(json.dumps(asdict(self)))

    @classmethod
    def read(cls, path: Path) -> Self:
        found = json.loads(path.read_text())
        messages = {name: _fault(one) for name, one in found.pop("messages").items()}
        connections = found.pop("connections")
        return cls(
            **found,
            messages=messages,
            connections=_fault(connections) if connections else None,
        )


def _fault(found: dict[str, object]) -> Fault:
    return Fault(**{**found, "step": Step(str(found["step"]))})  # type: ignore[arg-type]
