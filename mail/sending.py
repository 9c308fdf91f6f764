"""Claim, hand over, note the fate. Nobody twice, nobody lost."""

import smtplib
import threading
import time
from collections import deque
from collections.abc import Sequence
from functools import partial

import structlog
from django.conf import settings

from mail.books import Books, Handover
from mail.breaker import Breaker
from mail.claiming import CLAIM_SIZE, Claim, by_index, claim, is_due, lease, release
from mail.closing import finish_batches
from mail.guard import may_send, note_sent
from mail.hints import wake
from mail.letters import letter_for
from mail.outages import persistently
from mail.queueing import SEND_DUE
from mail.settling import settle
from mail.smtp import Conversation, Fate, Letter
from mail.weighing import Weighing

log = structlog.get_logger(__name__)

# A courier claims about what it hands over in a second: a confirmation that comes in
# the middle of a large batch waits no longer than that.
CLAIM_SECONDS = 1
# Then it makes room for what else its queue has; the next one goes on.
SHIFT_SECONDS = 60

_books = Books()
_breaker = Breaker()
# Set when this process is asked to end: couriers stop after their window.
closing = threading.Event()


def send_due() -> int:
    """Hand over what is due until nothing is left; the number of deliveries begun.

    One connection to the mail server; several of these may run, in any number of
    processes. Where there is much to do each wakes one more.
    """
    if not may_send():
        return 0
    if not is_due():
        finish_batches()
        return 0
    if _breaker.is_open():
        return 0
    with by_index():
        return _shift()


def _shift() -> int:
    begun, shift_ends = 0, time.monotonic() + SHIFT_SECONDS
    with _books.open(), Courier() as courier:
        while not closing.is_set() and courier.connect():
            if time.monotonic() > shift_ends:
                wake(SEND_DUE)
                break
            claims = claim(courier.claim_size)
            if not claims:
                break
            if begun == 0 and len(claims) == courier.claim_size:
                wake(SEND_DUE)
            begun += courier.deliver(claims)
    if begun:
        note_sent()
    finish_batches()
    return begun


class Courier:
    """One connection to the mail server, opened when there is something to say."""

    def __init__(self) -> None:
        self._conversation: Conversation | None = None
        self._weighing = Weighing()
        self.claim_size = settings.HANDOVER_WINDOW

    def __enter__(self) -> "Courier":
        return self

    def __exit__(self, *error: object) -> None:
        self._hang_up()
        if error == (None, None, None):
            persistently(self._weighing.finish)

    def connect(self) -> Conversation | None:
        """None: the server is away. Nothing is claimed while that is so."""
        if self._conversation is None and not _breaker.is_open():
            conversation = Conversation(
                settings.MAIL_SERVER, deadline_seconds=settings.MAIL_DEADLINE_SECONDS
            )
            try:
                self._conversation = conversation.__enter__()
            except (smtplib.SMTPException, OSError) as error:
                log.warning("mail server unreachable", error=_named(error))
                _breaker.note_failure()
                return None
        return self._conversation

    def deliver(self, claims: Sequence[Claim]) -> int:
        """Give each claim a fate, or let go of it; how many were begun.

        `HANDOVER_WINDOW` messages at a time: their rows say `handing_over`, committed
        together with the fates of those before, and then their bodies leave.
        """
        started = time.monotonic()
        accepted: list[Handover] = []
        waiting, begun = deque(claims), 0
        try:
            while waiting and not closing.is_set() and (talk := self.connect()):
                letters = _next_letters(waiting, talk)
                wanted = [one for one, _ in letters.values()]
                lease_ends = time.monotonic() + lease().total_seconds()
                noted, accepted = accepted, []
                window = _books.exchange(noted, wanted)
                begun += len(window)
                self._hand_over(talk, window, letters, lease_ends, accepted)
        finally:
            # Whatever happened: what the server took is known here alone.
            if accepted:
                _books.exchange(accepted, [])
        if waiting:
            release([one.id for one in waiting])
        self._adapt(begun, time.monotonic() - started)
        return begun

    def _hand_over(
        self,
        talk: Conversation,
        window: list[Handover],
        letters: dict[int, tuple[Claim, Letter]],
        lease_ends: float,
        accepted: list[Handover],
    ) -> None:
        """Adds to `accepted` what is still to be written down; all else is."""
        outcomes = talk.hand_over_all(
            [letters[one.claim.id][1] for one in window], begin_before=lease_ends
        )
        said, others = [], []
        for one, outcome in zip(window, outcomes, strict=True):
            said.append(outcome)
            if outcome.fate is Fate.ACCEPTED:
                accepted.append(Handover(one.claim, one.fence, outcome.reply))
            else:
                others.append((one, outcome))
        _breaker.note(said)
        for one, outcome in others:
            persistently(partial(settle, one, outcome))
            if outcome.fate is Fate.REFUSED and not outcome.no_such_mailbox:
                persistently(partial(self._weighing.note, one.claim.batch_id))
        if any(not outcome.reusable for outcome in said):
            self._hang_up()

    def _adapt(self, begun: int, seconds: float) -> None:
        rate = begun / max(seconds, 0.001)
        wanted = int(rate * CLAIM_SECONDS)
        self.claim_size = min(max(wanted, settings.HANDOVER_WINDOW), CLAIM_SIZE)

    def _hang_up(self) -> None:
        if self._conversation:
            self._conversation.__exit__(None, None, None)
            self._conversation = None


def _next_letters(
    waiting: deque[Claim], talk: Conversation
) -> dict[int, tuple[Claim, Letter]]:
    """A window's letters, ready to leave; whose can't be made fails alone."""
    letters: dict[int, tuple[Claim, Letter]] = {}
    while waiting and len(letters) < settings.HANDOVER_WINDOW:
        one = waiting.popleft()
        letter = letter_for(one, takes_8bit=talk.takes_8bit)
        if letter:
            letters[one.id] = one, letter
    return letters


def _named(error: Exception) -> str:
    return f"{type(error).__name__}: {error}"
