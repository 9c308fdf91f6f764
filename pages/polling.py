"""What a web process knows of the public version: a thread asks twice a second."""

from contextlib import suppress
from threading import Condition, Event, Thread
from time import monotonic, time

import psycopg
import structlog
from django.db import connections

log = structlog.get_logger(__name__)

EVERY_SECONDS = 0.5
# Longer without an answer, and the database counts as away.
PATIENCE_SECONDS = 2.0
QUESTION = "SELECT number FROM pages_publicversion"


class Poller:
    """`number` is the newest version known; None before the first answer."""

    def __init__(self) -> None:
        self.number: int | None = None
        # When it was seen to change (epoch).
        self.changed_at = float("-inf")
        self._answered_at = float("-inf")
        self._begun = self._ended = 0
        self._hurry = Event()
        self._round = Condition()
        self._connection: psycopg.Connection | None = None

    def start(self) -> None:
        Thread(target=self._poll_for_ever, name="public version", daemon=True).start()

    def is_away(self) -> bool:
        """Whether nobody knows any more what is published: the database is silent."""
        return monotonic() - self._answered_at > PATIENCE_SECONDS

    def ask_now(self, patience_seconds: float = EVERY_SECONDS) -> None:
        """Wait, but not longer, for the answer to a question that is asked now."""
        with self._round:
            mine = self._begun + 1
            self._hurry.set()
            self._round.wait_for(lambda: self._ended >= mine, patience_seconds)

    def _poll_for_ever(self) -> None:
        while True:
            self.poll()
            self._hurry.wait(EVERY_SECONDS)
            self._hurry.clear()

    def poll(self) -> None:
        """Ask once; what goes wrong is for the next time."""
        with self._round:
            self._begun += 1
        try:
            self._note(self._ask())
        except psycopg.Error:
            self.hang_up()
        except Exception:
            # A thread that ended would leave the pages as they are for ever.
            log.exception("the public version can't be read")
            self.hang_up()
        with self._round:
            self._ended = self._begun
            self._round.notify_all()

    def _note(self, number: int) -> None:
        if number != self.number:
            # The time first: who reads the new number finds it.
            self.changed_at = time()
            self.number = number
        self._answered_at = monotonic()

    def _ask(self) -> int:
        if self._connection is None:
            self._connection = _connect()
        row = self._connection.execute(QUESTION, prepare=True).fetchone()
        assert row is not None, "a migration made the one row"  # noqa: S101
        return int(row[0])

    def hang_up(self) -> None:
        if self._connection is not None:
            with suppress(psycopg.Error):
                self._connection.close()
        self._connection = None


def _connect() -> psycopg.Connection:
    """One of its own, which gives up where Django's would wait."""
    parameters = connections["default"].get_connection_params()
    own = {
        "application_name": "twitchsite public version",
        "autocommit": True,
        "connect_timeout": 2,
        "cursor_factory": psycopg.Cursor,
        "options": "-c statement_timeout=2s",
        "prepare_threshold": 0,
        "tcp_user_timeout": 2000,
    }
    return psycopg.connect(**{**parameters, **own})
