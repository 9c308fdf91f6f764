"""How often something may be asked for from a network, and in all.

One network can't close the door for the others, and a flood from everywhere closes it
for a while.
"""

from dataclasses import dataclass

import structlog

from mail.tallying import Limit, count

log = structlog.get_logger(__name__)

DAY, HOUR = 86_400, 3_600


class TooMany(Exception):
    """Not now; `retry_after` seconds from now. Says nothing about any person."""

    def __init__(self, retry_after: int) -> None:
        super().__init__(f"{retry_after} s")
        self.retry_after = retry_after


class TooManyFromNetwork(TooMany):
    """This network asked for more than a crowd does."""


class Paused(TooMany):
    """So many ask, from everywhere, that it is no crowd any more."""


@dataclass(frozen=True)
class Rate:
    """At most so many an hour from one network, and in all."""

    per_network: int
    in_all: int


def admit(what: str, rate: Rate, *, network: str, also: Limit | None = None) -> bool:
    """Count one more asking for `what`, a verb's name; False where `also` is exceeded.

    `network` may be "" where it isn't known. Raises TooManyFromNetwork and Paused.
    """
    by_network = Limit(f"{what}:network", network, rate.per_network, HOUR)
    overall = Limit(f"{what}:all", "", rate.in_all, HOUR)
    # What is refused before it doesn't count for the next: no single network, and no
    # single thing in `also`, can bring about the pause.
    chosen = [by_network if network else None, also, overall]
    exceeded = count([one for one in chosen if one])
    if exceeded is None:
        return True
    if exceeded.limit is also:
        return False
    if exceeded.limit is by_network:
        raise TooManyFromNetwork(exceeded.seconds_left)
    if exceeded.is_news:
        log.error("too many ask: paused", what=what, seconds=exceeded.seconds_left)
    raise Paused(exceeded.seconds_left)
