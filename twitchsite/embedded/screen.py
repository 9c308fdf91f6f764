"""What a person at a terminal sees; plain ASCII, 80 columns."""

import os
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from textwrap import wrap

from twitchsite.embedded.refusals import CannotStart

WIDTH = 80
LABEL = 15
GREEN, RED, DIM, BOLD = "32", "31", "2", "1"


class Screen:
    """Writes to a file descriptor: nothing is buffered, nothing left to flush.

    A terminal that has gone away is no reason to stop a site halfway: what can't be
    written is lost.
    """

    def __init__(self, descriptor: int = 1) -> None:
        self._descriptor = descriptor
        self._colourful = (
            os.isatty(descriptor)
            and "NO_COLOR" not in os.environ
            and os.environ.get("TERM") != "dumb"
        )

    def line(self, text: str = "") -> None:
        self._write(f"{text}\n")

    def fact(self, label: str, text: str) -> None:
        self.line(f"  {self._paint(DIM, f'{label:<{LABEL}}')}{text}")

    @contextmanager
    def step(self, label: str, text: str) -> Iterator[None]:
        """One line for one piece of work, ended by how long it took."""
        self._write(f"  {self._paint(DIM, f'{label:<{LABEL}}')}{text} ")
        began = time.monotonic()
        # "  label text ....... 12.3 s" fills the width.
        dots = self._paint(DIM, "." * max(3, WIDTH - 2 - LABEL - len(text) - 9))
        try:
            yield
        except BaseException as error:
            failed = isinstance(error, Exception)
            self.line(f"{dots} " + (self._paint(RED, "failed") if failed else "ended"))
            raise
        took = f"{time.monotonic() - began:5.1f} s"
        self.line(f"{dots} {self._paint(GREEN, took)}")

    def table(self, rows: Sequence[Sequence[str]]) -> None:
        """Rows below the first, which names the columns."""
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        for number, row in enumerate(rows):
            cells = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
            text = "   ".join(cells).rstrip()
            self.line(f"    {text if number else self._paint(DIM, text)}")

    def refusal(self, error: CannotStart) -> None:
        """The problem, the remedy, and the last words of whoever failed."""
        self.line()
        self.line(self._paint(RED, _folded(error.problem)))
        for text in error.lines:
            self.line(f"    {text}")
        if error.remedy:
            self.line(_folded(error.remedy))
        if error.log:
            self.line(f"The whole log: {error.log}")

    def heading(self, text: str) -> None:
        self.line(self._paint(BOLD, text))

    def _paint(self, code: str, text: str) -> str:
        return f"\x1b[{code}m{text}\x1b[0m" if self._colourful else text

    def _write(self, text: str) -> None:
        data = text.encode("utf-8", "backslashreplace")
        with suppress(OSError):
            while data:
                data = data[os.write(self._descriptor, data) :]


def _folded(text: str) -> str:
    """Broken between words only: paths and addresses stay whole to be copied."""
    lines = wrap(text, WIDTH, break_long_words=False, break_on_hyphens=False)
    return "\n".join(lines)
