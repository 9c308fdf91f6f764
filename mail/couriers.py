"""One thread, many connections: whoever the server has answered goes on.

A courier is a connection and the window of messages in its hands. Threads that all
have work take the interpreter from each other at every system call; here one looks
after all of them, and what several need from the database is one statement.
"""

import selectors
import smtplib
import socket
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from functools import partial
from math import ceil

import structlog
from django.conf import settings
from django.db import DatabaseError

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
GATHERED_SHARE = 0.75
# A server that turned a connection away is asked for one more after this long.
OPEN_AGAIN_SECONDS = 15.0
# One that has not greeted by then holds up no other attempt.
GREETING_SECONDS = 5.0
# Claims that wait longer are let go: newer single mails go before them.
STALE_SECONDS = 5.0


class Greeting(threading.Thread):
    """A connection being opened, in a thread that keeps no process from ending."""

    def __init__(self) -> None:
        super().__init__(daemon=True, name="greeting")
        self._talk = Conversation(
            settings.MAIL_SERVER, deadline_seconds=settings.MAIL_DEADLINE_SECONDS
        )
        self._error: BaseException | None = None
        self._lock = threading.Lock()
        self._is_open = self._is_unwanted = False
        self.began_at = time.monotonic()
        self.start()

    @property
    def is_slow(self) -> bool:
        return time.monotonic() > self.began_at + GREETING_SECONDS

    def run(self) -> None:
        try:
            self._talk.__enter__()
        except BaseException as error:
            # Whoever waits for the connection raises it: see `result`.
            self._error = error
        else:
            with self._lock:
                self._is_open = True
                if self._is_unwanted:
                    self._talk.close()

    def result(self) -> Conversation:
        """Raises what went wrong."""
        if self._error:
            raise self._error
        return self._talk

    def turn_away(self) -> None:
        """Hang up as soon as the server has greeted."""
        with self._lock:
            self._is_unwanted = True
            if self._is_open:
                self._talk.close()


class Courier:
    """A connection, and the messages that travel over it one after the other."""

    def __init__(self, talk: Conversation) -> None:
        self.talk = talk
        self._window: deque[Handover] = deque()
        self._steps: Iterator[Outcome | None] = iter(())
        # What the server said about the newest window.
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


class Couriers:
    """Up to `MAIL_CONNECTIONS` couriers, who come when there is something to send."""

    def __init__(self) -> None:
        self._all: list[Courier] = []
        self._coming: list[Greeting] = []
        self._open_again_at = 0.0
        self._was_turned_away = False
        self._selector = selectors.DefaultSelector()
        # What is known here alone, until it is written down.
        self._accepted: list[Handover] = []
        self._others: deque[tuple[Handover, Outcome]] = deque()
        self._noted_at = 0.0
        self._weighing = Weighing()

    def __enter__(self) -> "Couriers":
        return self

    def __exit__(self, kind: object, error: object, trace: object) -> None:
        self._selector.close()
        for one in self._coming:
            one.turn_away()
        _say_goodbye([courier.talk for courier in self._all])
        if error is None:
            persistently(self._weighing.finish)
        else:
            with suppress(DatabaseError):
                self._weighing.finish()

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
        waiting, begun = deque(claims), 0
        claimed_at, ask_at = time.monotonic(), 0.0
        try:
            while not is_over() and self._call_for(len(waiting)):
                if waiting and time.monotonic() > claimed_at + STALE_SECONDS:
                    _let_go(waiting)
                if not waiting and self._have_room() and time.monotonic() >= ask_at:
                    waiting.extend(more())
                    persistently(self._weighing.catch_up)
                    claimed_at = time.monotonic()
                    ask_at = 0 if waiting else claimed_at + ASK_SECONDS
                if not waiting and self._all and not self._busy():
                    break
                self._gather()
                begun += self._set_out(waiting)
                if self._busy() or self._coming:
                    self._listen(self._patience())
                self._settle()
        finally:
            self._come_home()
            with suppress(DatabaseError):
                # They end by themselves.
                _let_go(waiting)
        return begun

    def _free(self) -> list[Courier]:
        return [one for one in self._all if one.is_free]

    def _busy(self) -> int:
        return sum(not one.is_free for one in self._all)

    def _have_room(self) -> bool:
        """Whether a message could leave; without a server nothing is claimed."""
        return len(self._all) > 0 and self._busy() < settings.MAIL_CONNECTIONS

    def _call_for(self, waiting: int) -> bool:
        """As many couriers as there is work for; False: none is there or comes."""
        for one in [one for one in self._coming if not one.is_alive()]:
            self._coming.remove(one)
            self._welcome(one)
        if not breaker.is_open() and time.monotonic() >= self._open_again_at:
            self._coming += [Greeting() for _ in range(self._missing(waiting))]
        return bool(self._all or self._coming)

    def _missing(self, waiting: int) -> int:
        needed = max(self._busy() + ceil(waiting / settings.HANDOVER_WINDOW), 1)
        quick = sum(not one.is_slow for one in self._coming)
        room = settings.MAIL_CONNECTIONS - len(self._all) - len(self._coming)
        missing = min(needed - len(self._all) - quick, room)
        # Who was turned away asks for one connection at a time.
        return min(missing, 1 - quick) if self._was_turned_away else missing

    def _welcome(self, one: Greeting) -> None:
        try:
            courier = Courier(one.result())
        except (smtplib.SMTPException, OSError) as error:
            named = f"{type(error).__name__}: {error}"
            log.warning("mail server unreachable", error=named)
            self._note_turned_away()
        else:
            self._all.append(courier)
            self._selector.register(courier.sock, READ, courier)

    def _note_turned_away(self) -> None:
        """A server with which others talk is there: it wants no more of them."""
        self._was_turned_away = True
        self._open_again_at = time.monotonic() + OPEN_AGAIN_SECONDS
        if not self._all:
            breaker.note_failure()

    def _set_out(self, waiting: deque[Claim]) -> int:
        """Whoever is free takes a window; what was accepted meanwhile is noted."""
        # A server that ends a connection after so many messages costs none of them.
        for courier in self._free():
            self._hear(courier)
        free = self._free()
        is_pressing = time.monotonic() >= self._noted_at + NOTE_SECONDS
        if not (free and waiting) and not (self._accepted and (free or is_pressing)):
            return 0
        hands = [
            (one, _next_letters(waiting, one, left))
            for one, left in zip(free, range(len(free), 0, -1), strict=True)
        ]
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
        for courier in [one for one in free if not one.is_free]:
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
        while 0 < len(self._free()) < GATHERED_SHARE * len(self._all):
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
            self._part_if_left(courier)
            return
        try:
            for one, outcome in courier.go_on():
                if outcome.fate is Fate.ACCEPTED:
                    self._accepted.append(Handover(one.claim, one.fence, outcome.reply))
                else:
                    self._others.append((one, outcome))
        except BaseException:
            # A fault of ours: its window is in doubt, the others' are not.
            self._hang_up(courier)
            raise
        if courier.is_free:
            breaker.note(courier.said)
        if not courier.is_good:
            self._hang_up(courier)
        elif courier.listens_for != courier.waits_for:
            courier.listens_for = courier.waits_for
            self._selector.modify(courier.sock, courier.listens_for, courier)

    def _part_if_left(self, courier: Courier) -> None:
        if courier.talk.wire.is_quiet():
            return
        self._hang_up(courier)
        if not courier.said:
            # It greets and hangs up: to be called again and again.
            self._note_turned_away()

    def _settle(self) -> None:
        while self._others:
            one, outcome = self._others[0]
            persistently(partial(settle, one, outcome))
            self._others.popleft()
            if outcome.fate is Fate.REFUSED and not outcome.no_such_mailbox:
                persistently(partial(self._weighing.note, one.claim.batch_id))

    def _hang_up(self, courier: Courier) -> None:
        self._all.remove(courier)
        self._selector.unregister(courier.sock)
        courier.talk.close()

    def _come_home(self) -> None:
        """Windows under way end: what the server took is known here alone.

        Whatever goes wrong on the way, the rest is heard and written down.
        """
        errors: list[BaseException] = []
        # A courier with a fault is gone: there are no more of them than couriers.
        most = len(self._all)
        while self._busy() and len(errors) <= most:
            try:
                self._listen(self._patience())
            except Exception as error:
                errors.append(error)
        try:
            self._settle()
        finally:
            if self._accepted:
                self._exchange([])
        if errors:
            raise errors[0]


def _say_goodbye(talks: list[Conversation]) -> None:
    """QUIT to all at once; who does not answer is left."""
    threads = [
        threading.Thread(target=one.__exit__, args=(None, None, None), daemon=True)
        for one in talks
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def _let_go(waiting: deque[Claim]) -> None:
    if waiting:
        release([one.id for one in waiting])
        waiting.clear()


def _next_letters(
    waiting: deque[Claim], courier: Courier, left: int
) -> list[tuple[Claim, Letter]]:
    """A fair share of what waits among those `left`, a window at most.

    Ready to leave; whose can't be made fails alone.
    """
    size = min(settings.HANDOVER_WINDOW, ceil(len(waiting) / left))
    letters: list[tuple[Claim, Letter]] = []
    while waiting and len(letters) < size:
        one = waiting.popleft()
        letter = letter_for(one, takes_8bit=courier.talk.takes_8bit)
        if letter:
            letters.append((one, letter))
    return letters
