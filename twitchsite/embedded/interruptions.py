"""Ctrl-C, SIGTERM and a closed terminal, as one exception in the main thread."""

import signal
from types import FrameType

LISTENED_TO = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Interrupted(BaseException):
    """Somebody asked for the end; `status` is what shells expect then."""

    def __init__(self, number: int) -> None:
        super().__init__(signal.Signals(number).name)
        self.status = 128 + number


def listen() -> None:
    """From now on each of these signals raises Interrupted, once.

    The first one is enough: further ones must not disturb the stopping.
    """
    for number in LISTENED_TO:
        # `nohup` asks to survive the terminal.
        if number != signal.SIGHUP or signal.getsignal(number) != signal.SIG_IGN:
            signal.signal(number, _interrupt)


def ignore() -> None:
    for number in LISTENED_TO:
        signal.signal(number, signal.SIG_IGN)


def _interrupt(number: int, frame: FrameType | None) -> None:
    ignore()
    raise Interrupted(number)
