"""The id file of a host that sends: `DATA_DIR/environment.json`.

Several hosts have one each, or share a DATA_DIR and so one. It remembers the newest
heartbeat of the database that this host sent from (see `mail.environment`).
"""

import fcntl
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Self
from uuid import UUID, uuid4

import structlog
from django.conf import settings

log = structlog.get_logger(__name__)

FILE = "environment.json"


class UnreadableFile(Exception):
    """The id file is there and says nothing; the message says why."""


@dataclass(frozen=True)
class Host:
    """Whose file it is, and the last heartbeat it remembers of which database."""

    key: UUID
    database: str = ""
    heartbeat_at: datetime | None = None

    @classmethod
    def read(cls, text: str) -> Self:
        """Raises ValueError, TypeError, KeyError or AttributeError for rubbish."""
        kept = json.loads(text)
        at = kept["heartbeat_at"]
        return cls(
            UUID(kept["host"]),
            str(kept["database"]),
            datetime.fromisoformat(at) if at else None,
        )

    def __str__(self) -> str:
        at = self.heartbeat_at.isoformat() if self.heartbeat_at else None
        kept = {"host": str(self.key), "database": self.database, "heartbeat_at": at}
        return json.dumps(kept, indent=1) + "\n"


def this_host(*, renew: bool = False) -> Host:
    """This host's id, made on first use; `renew` makes one for an unreadable file too.

    Processes that start at once agree. Raises UnreadableFile.
    """
    with suppress(UnreadableFile) if renew else nullcontext():
        if host := read_host():
            return host
    try:
        with _alone():
            with suppress(UnreadableFile):
                if host := read_host():
                    return host
            host = Host(uuid4())
            _write(host)
            return host
    except OSError as error:
        raise UnreadableFile(f"{_path()} can't be made ({error.strerror})") from error


def read_host() -> Host | None:
    """What the id file says; None before the first use. Raises UnreadableFile."""
    try:
        return Host.read(_path().read_text())
    except FileNotFoundError:
        return None
    except OSError as error:
        raise UnreadableFile(f"{_path()} can't be read ({error.strerror})") from error
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise UnreadableFile(f"{_path()} is damaged") from error


def remember(host: Host) -> None:
    """Keep its heartbeat, unless the file has a newer one of the same database.

    Should that fail, the file is behind until the next one: no harm.
    """
    try:
        with _alone():
            if not _is_newer(read_host(), host):
                _write(host)
    except OSError as error:
        log.warning("heartbeat not remembered", error=error.strerror)


def _is_newer(kept: Host | None, host: Host) -> bool:
    if kept is None or kept.heartbeat_at is None or host.heartbeat_at is None:
        return False
    return kept.database == host.database and kept.heartbeat_at >= host.heartbeat_at


def _path() -> Path:
    return Path(settings.DATA_DIR) / FILE


@contextmanager
def _alone() -> Iterator[None]:
    """The folder's own lock: no file is left, and it ends with its process."""
    folder = _path().parent
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _write(host: Host) -> None:
    """Whole, or not at all. Whoever adopts a database may be another user."""
    draft = _path().with_suffix(".new")
    draft.unlink(missing_ok=True)
    with draft.open("x") as file:
        file.write(str(host))
        file.flush()
        os.fsync(file.fileno())
    draft.chmod(0o644)
    draft.replace(_path())
