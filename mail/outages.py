import time
from collections.abc import Callable
from typing import TypeVar

import structlog
from django.db import DatabaseError, InterfaceError, OperationalError, connection

log = structlog.get_logger(__name__)
T = TypeVar("T")

# What a server took is kept in mind this long while the database is away.
PATIENCE_SECONDS = 60


def persistently(write: Callable[[], T]) -> T:
    """Write what only this process knows, again and again until the database is back.

    For writes that name the state and fence they expect: a commit whose answer was
    lost is not made twice. Raises the database's error after `PATIENCE_SECONDS`.
    """
    patience_ends = time.monotonic() + PATIENCE_SECONDS
    while True:
        try:
            return write()
        except DatabaseError as error:
            is_late = time.monotonic() > patience_ends
            if connection.in_atomic_block or is_late or not is_away(error):
                raise
            log.warning("database away", error=type(error).__name__)
            connection.close()
            time.sleep(0.5)


def is_away(error: DatabaseError) -> bool:
    """Whether another connection may do: gone, refused, read-only, or not ours alone.

    SQLSTATE class 25 is a server that only reads after a failover, 26 a prepared
    statement that a pooler gave to somebody else.
    """
    if isinstance(error, (OperationalError, InterfaceError)):
        return True
    return str(getattr(error.__cause__, "sqlstate", ""))[:2] in ("25", "26")
