"""A stranger's mail taken apart: bounded work, no recursion, never an exception.

`email` parses each block of headers. The parts are found here, since the whole parser
recurses as deep as the sender likes and reads parameters in quadratic time.
"""

import base64
import binascii
import quopri
import re
from dataclasses import dataclass
from email.parser import BytesHeaderParser
from email.policy import compat32
from itertools import islice
from typing import Self

LONGEST_MESSAGE = 1024 * 1024
LONGEST_HEAD = 64 * 1024
LONGEST_VALUE = 1000
MOST_LINES = 500
MOST_PARTS = 50
DEEPEST = 4
# RFC 2046 section 5.1.1 allows 70 characters.
BOUNDARY = re.compile(r'\bboundary\s*=\s*(?:"([^"]{1,200})"|([^\s";]{1,200}))', re.I)


class Headers:
    """Values by name, in the order they came; neither is trusted."""

    def __init__(self, block: bytes) -> None:
        lines = block[:LONGEST_HEAD].split(b"\n", MOST_LINES)[:MOST_LINES]
        parsed = BytesHeaderParser(policy=compat32).parsebytes(b"\n".join(lines))
        self._values: dict[str, list[str]] = {}
        for name, value in parsed.raw_items():
            one_line = " ".join(str(value)[:LONGEST_VALUE].split())
            self._values.setdefault(name.lower(), []).append(one_line)

    def __contains__(self, name: str) -> bool:
        return name in self._values

    def names(self) -> list[str]:
        return list(self._values)

    def all(self, name: str) -> list[str]:
        return self._values.get(name, [])

    def first(self, name: str) -> str:
        return next(iter(self.all(name)), "")

    def word(self, name: str) -> str:
        """The first value up to its parameters and comments, lower case."""
        return re.split(r"[;(]", self.first(name), maxsplit=1)[0].strip().lower()


@dataclass(frozen=True)
class Part:
    """A leaf of the message; `body` is as it came, with line feeds alone."""

    headers: Headers
    body: bytes

    @classmethod
    def of(cls, raw: bytes) -> Self:
        head, _, body = raw.partition(b"\n\n")
        return cls(Headers(head), body)

    @property
    def kind(self) -> str:
        return self.headers.word("content-type") or "text/plain"

    def decoded(self) -> bytes:
        """The body without its transfer encoding, as far as it can be read."""
        encoding = self.headers.word("content-transfer-encoding")
        try:
            if encoding == "base64":
                return _line_feeds(base64.b64decode(self.body))
            if encoding == "quoted-printable":
                return _line_feeds(quopri.decodestring(self.body))
        except binascii.Error:
            return b""
        return self.body

    def parts(self) -> list[bytes]:
        """What a multipart holds; a lost end is the end of the text."""
        found = BOUNDARY.search(self.headers.first("content-type"))
        if not self.kind.startswith("multipart/") or not found:
            return []
        boundary = (found[1] or found[2]).encode("ascii", "surrogateescape")
        line = re.compile(rb"^--%s(--)?[ \t]*$" % re.escape(boundary), re.M)
        marks = list(islice(line.finditer(self.body), MOST_PARTS + 1))
        ends = [mark.start() for mark in marks[1:]] + [len(self.body)] * bool(marks)
        return [
            self.body[mark.end() + 1 : max(end - 1, mark.end() + 1)]
            for mark, end in zip(marks, ends, strict=True)
            if not mark[1]
        ]


def take_apart(raw: bytes) -> tuple[Headers, list[Part]]:
    """The message's own headers, and its leaves, those further out first."""
    whole = Part.of(_line_feeds(raw[:LONGEST_MESSAGE]))
    leaves: list[Part] = []
    waiting = [(whole, DEEPEST)]
    for _ in range(MOST_PARTS):
        if not waiting:
            break
        part, depth = waiting.pop(0)
        inner = part.parts() if depth else []
        waiting += [(Part.of(one), depth - 1) for one in inner]
        if not inner:
            leaves.append(part)
    return whole.headers, leaves


def _line_feeds(text: bytes) -> bytes:
    return text.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
