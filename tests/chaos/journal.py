"""The only witness: what the mail server took, on disk before it said so."""

import json
import os
from collections import Counter
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path


@dataclass(frozen=True)
class Entry:
    """One message that came whole; times are seconds since 1970."""

    at: float
    # When MAIL FROM came: the message was on its way from then on.
    mail_at: float
    message_id: str
    sender: str
    recipient: str
    accepted: bool


class Journal:
    """Appends entries; each is on disk when `append` returns."""

    def __init__(self, path: Path) -> None:
        self._descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)

    def append(self, entry: Entry) -> None:
        os.write(self._descriptor, json.dumps(asdict(entry)).encode() + b"\n")
        os.fsync(self._descriptor)


def read(path: Path) -> list[Entry]:
    """Every entry; a last line that was cut off by a crash was never answered."""
    lines = path.read_text().split("\n")[:-1] if path.exists() else []
    return [Entry(**json.loads(line)) for line in lines]


def taken(entries: Iterable[Entry]) -> Counter[str]:
    """How often the server accepted a message for each recipient."""
    return Counter(one.recipient for one in entries if one.accepted)
