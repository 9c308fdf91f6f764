import threading
import time
from collections.abc import Sequence

import structlog

from mail.smtp import Fate, Outcome

log = structlog.get_logger(__name__)

FAILURES = 5
FIRST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS = 15.0, 300.0
# A server that takes or refuses a message is at work.
ANSWERED = (Fate.ACCEPTED, Fate.REFUSED, Fate.SENDER_REFUSED)


class Breaker:
    """Leaves a mail server alone that is away.

    After `FAILURES` connections in a row that failed, be it after the greeting: for 15
    seconds at first, twice as long after each failure more, 5 minutes at most. One a
    process.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._failures = 0
        self._open_until = 0.0

    def is_open(self) -> bool:
        return time.monotonic() < self._open_until

    def note(self, outcomes: Sequence[Outcome]) -> None:
        """Learn from what one connection said about the messages it was given."""
        if any(one.fate in ANSWERED for one in outcomes):
            self.note_success()
        elif any(not one.reusable for one in outcomes):
            self.note_failure()

    def note_failure(self) -> None:
        with self._lock:
            if self.is_open():
                # Connections that were lost together are one failure.
                return
            self._failures += 1
            rounds = self._failures - FAILURES
            if rounds < 0:
                return
            # Days of failures make no number that is too large.
            doubled = FIRST_PAUSE_SECONDS * 2 ** min(rounds, 9)
            seconds = min(doubled, LONGEST_PAUSE_SECONDS)
            self._open_until = time.monotonic() + seconds
        log.error("mail server left alone", seconds=seconds, failures=self._failures)

    def note_success(self) -> None:
        with self._lock:
            self._failures, self._open_until = 0, 0.0
