"""How often anybody may ask for mail: for a mailbox, from a network, and all together.

Nobody is flooded, one network can't close the door for the others, and a flood from
everywhere closes it for a while.
"""

import structlog
from django.conf import settings

from newsletter.counting import Limit, count

log = structlog.get_logger(__name__)

DAY, HOUR = 86_400, 3_600


class TooMany(Exception):
    """Not now; `retry_after` seconds from now. Says nothing about any address."""

    def __init__(self, retry_after: int) -> None:
        super().__init__(f"{retry_after} s")
        self.retry_after = retry_after


class TooManyFromNetwork(TooMany):
    """This network asked for more than a crowd does."""


class Paused(TooMany):
    """So many ask, from everywhere, that it is no crowd any more."""


def admit(what: str, *, address: str, network: str) -> bool:
    """Count one more asking for `what`, a verb's name; False where it is to be dropped.

    Dropped is what names a mailbox too often: whoever asks gets the same answer as
    ever. `network` may be "" where it isn't known. Raises TooManyFromNetwork and
    Paused.
    """
    by_network = Limit(f"{what}:network", network, settings.ASKED_PER_NETWORK, HOUR)
    by_address = Limit(f"{what}:address", address, settings.ASKED_PER_ADDRESS, DAY)
    overall = Limit(f"{what}:all", "", settings.ASKED_IN_ALL, HOUR)
    # What is refused before it doesn't count for the next: no single network, and no
    # single mailbox, can bring about the pause.
    exceeded = count([*([by_network] if network else []), by_address, overall])
    if exceeded is None:
        return True
    if exceeded.limit is by_address:
        return False
    if exceeded.limit is by_network:
        raise TooManyFromNetwork(exceeded.seconds_left)
    if exceeded.is_news:
        log.error("too many ask: paused", what=what, seconds=exceeded.seconds_left)
    raise Paused(exceeded.seconds_left)
