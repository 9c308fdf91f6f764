"""The demonstration's mailbox: every message it is given becomes a file.

`<folder>/<sequence>.eml` holds the bytes as they came over SMTP, dots unstuffed, and
`<sequence>.json` the envelope. A message is on disk before the sender hears 250.

    python -m twitchsite.embedded.mailbox FOLDER DESCRIPTOR

serves the listening socket it inherits as DESCRIPTOR, so that a restart keeps the
port. In a test: `aiosmtpd.controller.Controller(Keeper(folder), ...)`.
"""

import asyncio
import json
import os
import signal
import socket
import sys
import tempfile
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

from aiosmtpd.smtp import SMTP, Envelope, Session

from twitchsite.embedded.places import sync_folder

# RFC 5321 asks for 1,000; a mailbox for looking at mail must show worse ones too.
LONGEST_LINE = 1024 * 1024
STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Stored(NamedTuple):
    """One message in the folder."""

    number: int
    path: Path

    @property
    def envelope(self) -> dict[str, Any]:
        """`from`, `to` (a list) and `at` (ISO 8601, UTC)."""
        return dict(json.loads(self.path.with_suffix(".json").read_text()))


def messages(folder: Path) -> list[Stored]:
    """What the folder holds, oldest first; a missing folder holds nothing."""
    return sorted(
        Stored(int(path.stem), path)
        for path in folder.glob("*.eml")
        if path.stem.isdecimal()
    )


class Keeper:
    """aiosmtpd's handler; several may share a folder."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._folder = folder
        self._next = max(_taken(folder), default=0) + 1

    async def handle_DATA(
        self, server: SMTP, session: Session, envelope: Envelope
    ) -> str:
        try:
            number = self._keep(envelope)
        except OSError as error:
            return f"452 4.3.1 Can't be stored: {error.strerror}"
        return f"250 2.0.0 Stored as {number}.eml"

    def _keep(self, envelope: Envelope) -> int:
        content = envelope.original_content or b""
        number = self._reserve(
            {
                "from": envelope.mail_from,
                "to": envelope.rcpt_tos,
                "at": datetime.now(UTC).isoformat(),
            }
        )
        self._link(content, f"{number}.eml")
        sync_folder(self._folder)
        return number

    def _reserve(self, facts: dict[str, Any]) -> int:
        """The envelope goes first: its name takes the number."""
        text = json.dumps(facts, ensure_ascii=False, indent=1)
        while True:
            number, self._next = self._next, self._next + 1
            try:
                self._link(text.encode("utf-8", "surrogateescape"), f"{number}.json")
            except FileExistsError:
                continue
            return number

    def _link(self, content: bytes, name: str) -> None:
        """Give complete, synced bytes a name that nobody has yet."""
        with tempfile.NamedTemporaryFile(dir=self._folder, prefix=".new-") as draft:
            draft.write(content)
            draft.flush()
            os.fsync(draft.fileno())
            os.link(draft.name, self._folder / name)


class Mailbox(SMTP):
    """ESMTP with SMTPUTF8 that takes lines of any reasonable length."""

    line_length_limit = LONGEST_LINE


def protocol(keeper: Keeper) -> Mailbox:
    """One connection's protocol; a fixed name saves a slow look-up of the host's."""
    return Mailbox(keeper, enable_SMTPUTF8=True, hostname="mailbox", ident="twitchsite")


def _taken(folder: Path) -> Iterator[int]:
    for pattern in ("*.eml", "*.json"):
        yield from (
            int(path.stem) for path in folder.glob(pattern) if path.stem.isdecimal()
        )


async def serve(folder: Path, listening: socket.socket) -> None:
    """Take messages until SIGTERM."""
    loop = asyncio.get_running_loop()
    ended = asyncio.Event()
    for number in STOP_SIGNALS:
        loop.add_signal_handler(number, ended.set)
    keeper = Keeper(folder)
    async with await loop.create_server(lambda: protocol(keeper), sock=listening):
        await ended.wait()


if __name__ == "__main__":
    asyncio.run(serve(Path(sys.argv[1]), socket.socket(fileno=int(sys.argv[2]))))
