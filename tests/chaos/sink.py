"""A mail server that misbehaves as it is told and never forgets what it took.

    python -m tests.chaos.sink DESCRIPTOR PLAN JOURNAL

serves the listening socket it inherits as DESCRIPTOR. It speaks the protocol itself
(RFC 5321, RFC 2920), since a library would not hang up in the middle of a sentence.
"""

import asyncio
import signal
import socket
import sys
import time
from collections import Counter
from pathlib import Path

from tests.chaos.faults import Fault, Plan, Step
from tests.chaos.journal import Entry, Journal

# Octets of a body that have come when the server hangs up in its middle.
MIDDLE = 200
LONGEST_LINE = 64 * 1024


class HungUp(Exception):
    """This conversation is over; its server wanted it so."""


class Sink:
    def __init__(self, plan: Plan, journal: Journal) -> None:
        self.plan = plan
        self.journal = journal
        self._struck: Counter[str] = Counter()

    async def answer(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        fault = self._due("", self.plan.connections)
        try:
            await Conversation(self, fault, reader, writer).run()
        except (HungUp, ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    def strike(self, step: Step, sender: str) -> Fault | None:
        """The fault that is due at this step for the message of `sender`, if any."""
        fault = self.plan.messages.get(sender)
        return self._due(sender, fault) if fault and fault.step is step else None

    def _due(self, name: str, fault: Fault | None) -> Fault | None:
        if fault is None or self._struck[name] >= fault.times:
            return None
        self._struck[name] += 1
        return fault


class Conversation:
    """One connection, from the banner to the end."""

    def __init__(
        self,
        sink: Sink,
        fault: Fault | None,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
    ) -> None:
        self._sink = sink
        self._fault = fault
        self._reader = reader
        self._writer = writer
        self._forget()

    def _forget(self) -> None:
        self._sender = self._recipient = ""
        self._mail_at = 0.0

    async def run(self) -> None:
        await self._say(Step.CONNECT, "220 sink.example ESMTP")
        while line := await self._reader.readline():
            await self._command(line.decode("ascii", "replace").strip())

    async def _command(self, line: str) -> None:
        word, _, rest = line.partition(" ")
        match word.upper():
            case "EHLO":
                offers = ["sink.example", *self._sink.plan.offers]
                lines = [f"250-{one}" for one in offers[:-1]] + [f"250 {offers[-1]}"]
                await self._say(Step.EHLO, "\r\n".join(lines))
            case "MAIL":
                self._forget()
                self._mail_at = time.time()
                self._sender = _between_brackets(rest)
                if not await self._say(Step.MAIL, "250 2.1.0 Sender"):
                    self._forget()
            case "RCPT":
                await self._rcpt(_between_brackets(rest))
            case "DATA":
                await self._data()
            case "QUIT":
                await self._write("221 2.0.0 Bye")
                raise HungUp
            case "RSET":
                self._forget()
                await self._write("250 2.0.0 Reset")
            case _:
                await self._write("502 5.5.1 Unknown")

    async def _rcpt(self, recipient: str) -> None:
        if not self._sender:
            await self._write("503 5.5.1 MAIL first")
        elif await self._say(Step.RCPT, "250 2.1.5 Recipient"):
            self._recipient = recipient

    async def _data(self) -> None:
        if not self._recipient:
            await self._write("503 5.5.1 RCPT first")
            return
        if not await self._say(Step.DATA, "354 Go on"):
            return
        if fault := self._sink.strike(Step.BODY, self._sender):
            await self._reader.readexactly(MIDDLE)
            await self._do(fault)
        message = await self._reader.readuntil(b"\r\n.\r\n")
        await asyncio.sleep(self._sink.plan.seconds_each)
        if fault := self._sink.strike(Step.DOT, self._sender):
            self._note(message, accepted=False)
            await self._do(fault)
        else:
            self._note(message, accepted=True)
            await self._say(Step.TAKEN, "250 2.0.0 Taken")
        self._forget()

    def _note(self, message: bytes, *, accepted: bool) -> None:
        self._sink.journal.append(
            Entry(
                at=time.time(),
                mail_at=self._mail_at,
                message_id=_message_id(message),
                sender=self._sender,
                recipient=self._recipient,
                accepted=accepted,
            )
        )

    async def _say(self, step: Step, reply: str) -> bool:
        """Answer as planned or with `reply`; whether the answer was yes."""
        if self._fault and self._fault.step is step:
            return await self._do(self._fault)
        if fault := self._sink.strike(step, self._sender):
            return await self._do(fault)
        await self._write(reply)
        return True

    async def _do(self, fault: Fault) -> bool:
        await asyncio.sleep(fault.wait_seconds)
        if not fault.reply:
            raise HungUp
        await self._write(fault.reply, fault.drip_seconds)
        # RFC 5321 section 3.8: after 421 the server closes.
        if fault.hangs_up or fault.reply.startswith("421"):
            raise HungUp
        return fault.reply[0] in "23"

    async def _write(self, reply: str, drip_seconds: float = 0) -> None:
        octets = reply.encode("ascii") + b"\r\n"
        pieces = [octets[n : n + 1] for n in range(len(octets))]
        for piece in pieces if drip_seconds else [octets]:
            self._writer.write(piece)
            await self._writer.drain()
            await asyncio.sleep(drip_seconds)


def _between_brackets(text: str) -> str:
    return text.partition("<")[2].partition(">")[0]


def _message_id(message: bytes) -> str:
    for line in message.split(b"\r\n\r\n", 1)[0].split(b"\r\n"):
        name, _, value = line.partition(b":")
        if name.lower() == b"message-id":
            return value.strip().decode("ascii", "replace")
    return ""


async def serve(listening: socket.socket, sink: Sink) -> None:
    """Until SIGTERM."""
    ended = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, ended.set)
    server = await asyncio.start_server(
        sink.answer, sock=listening, limit=2 * 1024 * 1024
    )
    await ended.wait()
    server.close()


def main(descriptor: int, plan: Path, journal: Path) -> None:
    listening = socket.socket(fileno=descriptor)
    asyncio.run(serve(listening, Sink(Plan.read(plan), Journal(journal))))


if __name__ == "__main__":
    main(int(sys.argv[1]), Path(sys.argv[2]), Path(sys.argv[3]))
