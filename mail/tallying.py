"""Counts of what was asked for lately: in Valkey, in PostgreSQL while it is away.

Keys are keyed hashes: no count says whose it is.
"""

from dataclasses import dataclass
from functools import cache
from typing import Any

import redis
import structlog
from django.db import connection
from django.utils import timezone
from django.utils.crypto import salted_hmac

from mail.models import Tally
from mail.valkey import VALKEY, valkey_client

log = structlog.get_logger(__name__)

# One step, so that no count can stay without an end.
COUNT = """
for place, key in ipairs(KEYS) do
  local count = redis.call('INCR', key)
  if count == 1 then redis.call('EXPIRE', key, ARGV[2 * place]) end
  if count > tonumber(ARGV[2 * place - 1]) then
    return {place, count, redis.call('TTL', key)}
  end
end
return {0, 0, 0}
"""


@dataclass(frozen=True)
class Limit:
    """At most so many of `what` in a window that begins with the first of them."""

    name: str
    what: str
    most: int
    seconds: int

    @property
    def key(self) -> str:
        hashed = salted_hmac("mail.tallying", self.what, algorithm="sha256")
        return f"twitchsite:count:{self.name}:{hashed.hexdigest()}"


@dataclass(frozen=True)
class Exceeded:
    """The first limit that has been reached, and when its window ends."""

    limit: Limit
    count: int
    seconds_left: int

    @property
    def is_news(self) -> bool:
        """True once a window, in whichever process it happens."""
        return self.count == self.limit.most + 1


def count(limits: list[Limit]) -> Exceeded | None:
    """Count one more for each in turn, as far as the first that is exceeded."""
    if VALKEY.may_try():
        try:
            found = _in_valkey(limits)
        except (redis.RedisError, OSError) as error:
            VALKEY.failed()
            log.warning("counting in the database", error=type(error).__name__)
        else:
            VALKEY.worked()
            return found
    return _in_postgresql(limits)


def _in_valkey(limits: list[Limit]) -> Exceeded | None:
    numbers = [number for one in limits for number in (one.most, one.seconds)]
    keys = [one.key for one in limits]
    place, counted, left = _script()(keys=keys, args=numbers, client=valkey_client())
    return Exceeded(limits[place - 1], counted, max(left, 1)) if place else None


@cache
def _script() -> Any:
    return valkey_client().register_script(COUNT)


def _in_postgresql(limits: list[Limit]) -> Exceeded | None:
    for limit in limits:
        counted, left = _one_more(limit)
        if counted > limit.most:
            return Exceeded(limit, counted, max(left, 1))
    return None


def _one_more(limit: Limit) -> tuple[int, int]:
    """The count with this one, and the seconds until it begins anew."""
    with connection.cursor() as cursor:
        cursor.execute(
            """
            INSERT INTO mail_tally AS known (key, count, ends_at)
            VALUES (%(key)s, 1, clock_timestamp() + make_interval(secs => %(secs)s))
            ON CONFLICT (key) DO UPDATE SET
              count = CASE WHEN known.ends_at <= clock_timestamp()
                THEN 1 ELSE known.count + 1 END,
              ends_at = CASE WHEN known.ends_at <= clock_timestamp()
                THEN excluded.ends_at ELSE known.ends_at END
            RETURNING count, ceil(extract(epoch FROM ends_at - clock_timestamp()))::int
            """,
            {"key": limit.key, "secs": limit.seconds},
        )
        counted, left = cursor.fetchone()
        return counted, left


def forget_old_tallies() -> int:
    """Delete counts whose window has ended; how many. Valkey does so by itself."""
    return Tally.objects.filter(ends_at__lte=timezone.now()).delete()[0]
