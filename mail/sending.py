"""Claim, hand over, note the fate. Nobody twice, nobody lost."""

import threading
import time

from django.conf import settings

from mail.claiming import CLAIM_SIZE, Claim, by_index, claim, is_due
from mail.closing import finish_batches
from mail.couriers import Couriers
from mail.guard import may_send, note_sent
from mail.hints import wake
from mail.queueing import SEND_DUE

# A confirmation that comes in the middle of a large batch waits no longer than this.
CLAIM_SECONDS = 1

# Set when this process is asked to end: couriers stop after their window.
closing = threading.Event()


def send_due() -> int:
    """Hand over what is due until nothing is left; the number of deliveries begun.

    Over up to `MAIL_CONNECTIONS` connections; several of these may run, in any number
    of processes. Where there is much to do each wakes one more.
    """
    if not may_send():
        return 0
    if not is_due():
        finish_batches()
        return 0
    with by_index(), Couriers() as couriers:
        begun = couriers.deliver(more=_Claims().next, is_over=closing.is_set)
    if begun:
        note_sent()
    finish_batches()
    return begun


class _Claims:
    """Each of about as many as are handed over in `CLAIM_SECONDS`."""

    def __init__(self) -> None:
        self._at_least = settings.HANDOVER_WINDOW * settings.MAIL_CONNECTIONS
        self._taken, self._taken_at = 0, time.monotonic()
        self._is_first = True

    def next(self) -> list[Claim]:
        seconds = max(time.monotonic() - self._taken_at, 0.001)
        size = int(self._taken / seconds * CLAIM_SECONDS)
        taken = claim(min(max(size, self._at_least), CLAIM_SIZE))
        if self._is_first and len(taken) >= self._at_least:
            wake(SEND_DUE)
        self._taken, self._taken_at = len(taken), time.monotonic()
        self._is_first = False
        return taken
