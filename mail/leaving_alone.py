"""A server that failed is left alone for a while, so that it costs only one wait."""

import time
from threading import Lock


class LeftAlone:
    """Whether a server is being left alone; each process finds out for itself."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._until = 0.0
        self._lock = Lock()

    def may_try(self) -> bool:
        """True for everybody while all is well, and for one caller now and then after
        a failure: that one finds out for the others."""
        with self._lock:
            now = time.monotonic()
            if self._until == 0:
                return True
            if now < self._until:
                return False
            self._until = now + self._seconds
            return True

    def failed(self) -> None:
        with self._lock:
            self._until = time.monotonic() + self._seconds

    def worked(self) -> None:
        with self._lock:
            self._until = 0.0
