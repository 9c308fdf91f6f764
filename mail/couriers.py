"""One thread, many connections: whoever the server has answered goes on.

A courier is a connection and the window of messages in its hands. Threads that all
have work take the interpreter from each other at every system call; here one looks
after all of them, and what several need from the database is one statement.
"""

import selectors
import smtplib
import socket
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor, wait
from functools import partial
from math import ceil

import structlog
from django.conf import settings

from mail.books import Handover, exchange
from mail.breaker import Breaker
from mail.claiming import Claim, lease, release
from mail.letters import letter_for
from mail.outages import persistently
from mail.settling import settle
from mail.smtp import Conversation, Fate, Letter, Outcome
from mail.weighing import Weighing

log = structlog.get_logger(__name__)

breaker = Breaker()
READ, WRITE = selectors.EVENT_READ, selectors.EVENT_WRITE
# Who has nothing left to hand over asks this often whether there is more.
ASK_SECONDS = 1.0
# What was accepted is noted this much later at most, where nobody wants anything.
NOTE_SECONDS = 0.05
# As PostgreSQL's commit_delay, and as little as that.
GATHER_SECONDS = 0.002
MOST = 0.75
# A server that turned a connection away is asked for another after this long.
OPEN_AGAIN_SECONDS = 15.0


class Courier:
    """A connection, and the messages that travel over it one after the other."""

    def __init__(self, talk: Conversation) -> None:
        self.talk = talk
        self._window: deque[Handover] = deque()
        self._steps: Iterator[Outcome | None] = iter(())
        self.said: list[Outcome] = []
        self.listens_for = READ

    @property
    def sock(self) -> socket.socket:
        return self.talk.wire.sock

    @property
    def waits_for(self) -> int:
        return WRITE if self.talk.wire.waits_to_write else READ

    @property
    def is_free(self) -> bool:
        return not self._window

    @property
    def is_late(self) -> bool:
        return not self.is_free and time.monotonic() >= self.talk.wire.deadline

    @property
    def is_good(self) -> bool:
        return all(outcome.reusable for outcome in self.said)

    def set_out(
        self, window: list[Handover], letters: list[Letter], *, begin_before: float
    ) -> None:
        self._window, self.said = deque(window), []
        self._steps = self.talk.handing_over(letters, begin_before=begin_before)

    def go_on(self) -> Iterator[tuple[Handover, Outcome]]:
        """What became of messages, until the server has to say something."""
        for outcome in self._steps:
            if outcome is None:
                return
            self.said.append(outcome)
            yield self._window.popleft(), outcome

    def was_left(self) -> bool:
        """Whether the server ended the connection while there was nothing to say."""
        try:
            return self.talk.wire.receive() is not None
        except OSError:
            return True


class Couriers:
    """Up to `MAIL_CONNECTIONS` couriers, who come when there is something to send."""

    def __init__(self) -> None:
        self._all: list[Courier] = []
        self._coming: list[Future[Conversation]] = []
        self._open_again_at = 0.0
        self._selector = selectors.DefaultSelector()
        # A greeting may take its time; the others' messages don't wait for it.
        self._greeters = ThreadPoolExecutor(settings.MAIL_CONNECTIONS, "greeter")
        self._accepted: list[Handover] = []
        self._noted_at = 0.0
        self._weighing = Weighing()

    def __enter__(self) -> "Couriers":
        return self

    def __exit__(self, *error: object) -> None:
        self._selector.close()
        wait([self._greeters.submit(_part, courier.talk) for courier in self._all])
        for one in self._coming:
            one.add_done_callback(_turn_away)
        self._greeters.shutdown(wait=False)
        if error == (None, None, None):
            persistently(self._weighing.finish)

    def deliver(
        self,
        claims: Iterable[Claim] = (),
        *,
        more: Callable[[], list[Claim]] = list,
        is_over: Callable[[], bool] = lambda: False,
    ) -> int:
        """Give each claim a fate, or let go of it; how many were begun.

        `more` is asked when these are on their way, and only while the mail server is
        there. Once it `is_over` nothing begins. `HANDOVER_WINDOW` messages a
        connection: their rows say `handing_over`, committed together with the fates of
        others, and then their bodies leave.
        """
        waiting, begun, ask_at = deque(claims), 0, 0.0
        try:
            while not is_over() and self._are_there(len(waiting)):
                if not waiting and self._have_room() and time.monotonic() >= ask_at:
                    waiting.extend(more())
                    persistently(self._weighing.catch_up)
                    ask_at = 0 if waiting else time.monotonic() + ASK_SECONDS
                if not waiting and self._all and not self._busy():
                    break
                self._gather()
                begun += self._set_out(waiting)
                if self._busy() or self._coming:
                    self._listen(self._patience())
        finally:
            self._come_home()
        if waiting:
            release([one.id for one in waiting])
        return begun

    def _free(self) -> list[Courier]:
        return [one for one in self._all if one.is_free]

    def _busy(self) -> int:
        return sum(not one.is_free for one in self._all)

    def _have_room(self) -> bool:
        """Whether a message could leave; without a server nothing is claimed."""
        return len(self._all) > 0 and self._busy() < settings.MAIL_CONNECTIONS

    def _are_there(self, waiting: int) -> bool:
        """Whether anybody is there or coming, as many as there is work for."""
        for one in [one for one in self._coming if one.done()]:
            self._coming.remove(one)
            self._welcome(one)
        needed = max(self._busy() + ceil(waiting / settings.HANDOVER_WINDOW), 1)
        missing = min(needed, settings.MAIL_CONNECTIONS) - len(self._all)
        if not breaker.is_open() and time.monotonic() >= self._open_again_at:
            for _ in range(missing - len(self._coming)):
                self._coming.append(self._greeters.submit(_greeted))
        return bool(self._all or self._coming)

    def _welcome(self, one: Future[Conversation]) -> None:
        try:
            courier = Courier(one.result())
        except (smtplib.SMTPException, OSError) as error:
            named = f"{type(error).__name__}: {error}"
            log.warning("mail server unreachable", error=named)
            breaker.note_failure()
            self._open_again_at = time.monotonic() + OPEN_AGAIN_SECONDS
        else:
            self._all.append(courier)
            self._selector.register(courier.sock, READ, courier)

    def _set_out(self, waiting: deque[Claim]) -> int:
        """Whoever is free takes a window; what was accepted meanwhile is noted."""
        # A server that ends a connection after so many messages costs none of them.
        for courier in self._free():
            self._hear(courier)
        free = self._free()
        is_pressing = time.monotonic() >= self._noted_at + NOTE_SECONDS
        if not (free and waiting) and not (self._accepted and (free or is_pressing)):
            return 0
        hands = [(one, _next_letters(waiting, one, len(free))) for one in free]
        wanted = [claim for _, letters in hands for claim, _ in letters]
        lease_ends = time.monotonic() + lease().total_seconds()
        begun = {one.claim.id: one for one in self._exchange(wanted)}
        number = len(begun)
        for courier, letters in hands:
            # Taken out: where two hold the same claim, the first alone hands over.
            mine = [
                (begun.pop(claim.id), letter)
                for claim, letter in letters
                if claim.id in begun
            ]
            if mine:
                window, bodies = map(list, zip(*mine, strict=True))
                courier.set_out(window, bodies, begin_before=lease_ends)
                self._hear(courier)
        return number

    def _exchange(self, wanted: list[Claim]) -> list[Handover]:
        # Kept until it is written: who comes home tries once more.
        begun = exchange(self._accepted, wanted)
        self._accepted, self._noted_at = [], time.monotonic()
        return begun

    def _gather(self) -> None:
        """A moment for the others to come: what most of them want is one statement."""
        ends_at = time.monotonic() + GATHER_SECONDS
        while 0 < len(self._free()) < MOST * len(self._all):
            if (left := ends_at - time.monotonic()) <= 0:
                return
            self._listen(left)

    def _listen(self, seconds: float) -> None:
        """Until somebody can go on, or there is something else to do."""
        for key, _ in self._selector.select(seconds):
            self._hear(key.data)
        for courier in [one for one in self._all if one.is_late]:
            self._hear(courier)

    def _patience(self) -> float:
        if self._coming:
            return 0.01
        return NOTE_SECONDS if self._accepted else ASK_SECONDS

    def _hear(self, courier: Courier) -> None:
        if courier.is_free:
            if courier.was_left():
                self._hang_up(courier)
            return
        others = []
        for one, outcome in courier.go_on():
            if outcome.fate is Fate.ACCEPTED:
                self._accepted.append(Handover(one.claim, one.fence, outcome.reply))
            else:
                others.append((one, outcome))
        if courier.is_free:
            breaker.note(courier.said)
        if not courier.is_good:
            self._hang_up(courier)
        elif courier.listens_for != courier.waits_for:
            courier.listens_for = courier.waits_for
            self._selector.modify(courier.sock, courier.listens_for, courier)
        for one, outcome in others:
            self._settle(one, outcome)

    def _settle(self, one: Handover, outcome: Outcome) -> None:
        persistently(partial(settle, one, outcome))
        if outcome.fate is Fate.REFUSED and not outcome.no_such_mailbox:
            persistently(partial(self._weighing.note, one.claim.batch_id))

    def _hang_up(self, courier: Courier) -> None:
        self._all.remove(courier)
        self._selector.unregister(courier.sock)
        _part(courier.talk)

    def _come_home(self) -> None:
        """Windows under way end: what the server took is known here alone."""
        try:
            while self._busy():
                self._listen(self._patience())
        finally:
            if self._accepted:
                self._exchange([])


def _greeted() -> Conversation:
    return Conversation(
        settings.MAIL_SERVER, deadline_seconds=settings.MAIL_DEADLINE_SECONDS
    ).__enter__()


def _part(talk: Conversation) -> None:
    talk.__exit__(None, None, None)


def _turn_away(coming: Future[Conversation]) -> None:
    if coming.exception() is None:
        _part(coming.result())


def _next_letters(
    waiting: deque[Claim], courier: Courier, free: int
) -> list[tuple[Claim, Letter]]:
    """A window's letters, ready to leave; whose can't be made fails alone."""
    size = min(settings.HANDOVER_WINDOW, ceil(len(waiting) / free))
    letters: list[tuple[Claim, Letter]] = []
    while waiting and len(letters) < size:
        one = waiting.popleft()
        letter = letter_for(one, takes_8bit=courier.talk.takes_8bit)
        if letter:
            letters.append((one, letter))
    return letters
