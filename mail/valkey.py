"""One way to ask Redis or Valkey something small, with little patience."""

from functools import cache

import redis
from django.conf import settings
from redis.backoff import NoBackoff
from redis.retry import Retry

from mail.leaving_alone import LeftAlone

PATIENCE_SECONDS = 0.5
# Hints and counts share what they find out about it.
VALKEY = LeftAlone(seconds=10)


def valkey_client() -> redis.Redis:
    """The process's client: it waits half a second at most and tries once."""
    return _client(settings.REDIS_URL)


@cache
def _client(url: str) -> redis.Redis:
    return redis.Redis.from_url(
        url,
        socket_connect_timeout=PATIENCE_SECONDS,
        socket_timeout=PATIENCE_SECONDS,
        retry=Retry(NoBackoff(), 0),
    )
