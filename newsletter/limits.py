"""How often anybody may ask for mail: nobody's mailbox is flooded."""

from uuid import UUID

from django.conf import settings

import mail
from mail import Limit, Rate

DAY = 86_400
# Enough for who mistypes, and useless for who wants strangers mailed.
NEW_ADDRESSES_A_DAY = 5


class EnoughForToday(Exception):
    """One person named as many new addresses as anybody needs in a day."""


def admit(what: str, *, address: str, network: str) -> bool:
    """Count one more asking for `what`, a verb's name; False where it is to be dropped.

    Dropped is what names a mailbox too often: whoever asks gets the same answer as
    ever. `network` may be "" where it isn't known. Raises mail.TooManyFromNetwork and
    mail.Paused.
    """
    rate = Rate(settings.ASKED_PER_NETWORK, settings.ASKED_IN_ALL)
    by_address = Limit(f"{what}:address", address, settings.ASKED_PER_ADDRESS, DAY)
    return mail.admit(what, rate, network=network, also=by_address)


def admit_move(subscriber_key: UUID, *, address: str, network: str) -> bool:
    """As `admit`, of a new address that one person names. Raises EnoughForToday too."""
    by_person = Limit("move:person", subscriber_key.hex, NEW_ADDRESSES_A_DAY, DAY)
    if mail.count([by_person]):
        raise EnoughForToday
    return admit("move", address=address, network=network)
