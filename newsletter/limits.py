"""How often anybody may ask for mail: nobody's mailbox is flooded."""

from django.conf import settings

import mail
from mail import Limit, Rate

DAY = 86_400


def admit(what: str, *, address: str, network: str) -> bool:
    """Count one more asking for `what`, a verb's name; False where it is to be dropped.

    Dropped is what names a mailbox too often: whoever asks gets the same answer as
    ever. `network` may be "" where it isn't known. Raises mail.TooManyFromNetwork and
    mail.Paused.
    """
    rate = Rate(settings.ASKED_PER_NETWORK, settings.ASKED_IN_ALL)
    by_address = Limit(f"{what}:address", address, settings.ASKED_PER_ADDRESS, DAY)
    return mail.admit(what, rate, network=network, also=by_address)
