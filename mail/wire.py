"""A socket that never blocks, so that one thread can look after many conversations.

`Steps` are walked by whoever has the time: each stop means that the server has to do
something first. Where it has not by the `deadline` the next step raises TooSlow; what
has come already is read whatever the time.
"""

import select
import smtplib
import socket
import ssl
import time
from collections.abc import Generator
from typing import TypeVar

# RFC 5321 section 4.5.3.1.5 allows a line 512 octets. Only a server that never comes to
# an end says more than this.
LONGEST_REPLY = 65_536

T = TypeVar("T")
Steps = Generator[None, None, T]
Reply = tuple[int, bytes]


class TooSlow(TimeoutError):
    """The message's deadline passed, however often the server sent a byte."""


class Wire:
    """Commands and replies; a `code` of -1 is a line without one."""

    def __init__(self, sock: socket.socket, *, unread: bytes = b"") -> None:
        sock.setblocking(False)
        self.sock = sock
        self.deadline = 0.0
        # What the next step waits for: to write, or else to read.
        self.waits_to_write = False
        self._unread = unread

    def start_clock(self, seconds: float) -> None:
        self.deadline = time.monotonic() + seconds

    def write(self, octets: bytes) -> Steps[None]:
        rest = memoryview(octets)
        while rest:
            try:
                rest = rest[self.sock.send(rest) :]
            except (BlockingIOError, ssl.SSLWantWriteError):
                yield from self._pause(to_write=True)
            except ssl.SSLWantReadError:
                yield from self._pause()

    def reply(self) -> Steps[Reply]:
        """The server's next reply, all its lines joined.

        Raises smtplib.SMTPServerDisconnected where it ends without one.
        """
        while (reply := self._whole_reply()) is None:
            octets = self.receive()
            if octets is None:
                yield from self._pause()
            elif not octets or len(self._unread) > LONGEST_REPLY:
                raise smtplib.SMTPServerDisconnected("the server broke off")
            else:
                self._unread += octets
        return reply

    def receive(self) -> bytes | None:
        """What has come, b"" at the end; None where there is nothing yet."""
        try:
            return self.sock.recv(4096)
        except (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError):
            return None

    def is_quiet(self) -> bool:
        """Whether the server has said nothing that nobody asked for, nor left."""
        try:
            return not self._unread and self.receive() is None
        except OSError:
            return False

    def wait(self) -> None:
        """Until the next step may get on, or the deadline."""
        poll = select.poll()
        poll.register(
            self.sock, select.POLLOUT if self.waits_to_write else select.POLLIN
        )
        poll.poll(max(self.deadline - time.monotonic(), 0) * 1000)

    def _pause(self, *, to_write: bool = False) -> Steps[None]:
        if time.monotonic() >= self.deadline:
            raise TooSlow("the deadline passed")
        self.waits_to_write = to_write
        yield
        self.waits_to_write = False

    def _whole_reply(self) -> Reply | None:
        """RFC 5321 section 4.2.1: a hyphen after the code says that a line follows."""
        lines, start = [], 0
        while end := self._unread.find(b"\n", start) + 1:
            line, start = self._unread[start:end], end
            lines.append(line[4:].strip())
            code = int(line[:3]) if line[:3].isdigit() else -1
            if code < 0 or line[3:4] != b"-":
                self._unread = self._unread[start:]
                return code, b"\n".join(lines)
        return None
