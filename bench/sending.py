"""Tips from rows to accepted, against postfix's smtp-source to the same sink.

    python -m bench.sending [messages]

Alternates the two so that a noisy machine disturbs both alike; prints medians. The
databases are durable (fsync on); servers, sink and sources run on loopback and end with
this process.
"""

import os
import statistics
import subprocess
import sys
import time

from bench.stand import ROOT, found, missing, recipients, say, standing
from bench.stand import tip_for_everybody as start_batch

PROCESSES = 2
CONNECTIONS = 8
ROUNDS = 3
WINDOWS = (1, 10)
MESSAGE_BYTES = 13_000
# smtp-source makes a connection for each message unless it is told to keep them, as
# the site does.
KEPT, USUAL = "smtp-source, connections kept", "smtp-source as it comes"


def source_rate(port: int, messages: int, *options: str) -> float:
    """What smtp-source hands over in a second over as many connections at once."""
    sessions = str(PROCESSES * CONNECTIONS)
    begun = time.monotonic()
    subprocess.run(
        [
            *(str(found("smtp-source")), *options, "-s", sessions, "-m", str(messages)),
            *("-l", str(MESSAGE_BYTES), "-f", "a@example.com", "-t", "b@example.com"),
            f"127.0.0.1:{port}",
        ],
        check=True,
    )
    return messages / (time.monotonic() - begun)


def site_rate(messages: int, window: int) -> float:
    """What the site hands over in a second, from queued rows to accepted ones."""
    from mail import Delivery

    batch = start_batch()
    senders = [_sender(window) for _ in range(PROCESSES)]
    for one in senders:
        assert one.stdout is not None
        assert one.stdout.readline() == "ready\n"
    begun = time.monotonic()
    for one in senders:
        assert one.stdin is not None
        one.stdin.write("\n")
        one.stdin.flush()
    for one in senders:
        one.communicate()
    seconds = time.monotonic() - begun
    accepted = batch.deliveries.filter(state=Delivery.State.ACCEPTED).count()
    assert accepted == messages, f"{accepted} of {messages} were accepted"
    return messages / seconds


def _sender(window: int) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "bench.sender"],
        cwd=ROOT,
        env={
            **os.environ,
            "HANDOVER_WINDOW": str(window),
            "MAIL_CONNECTIONS": str(CONNECTIONS),
        },
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


def main(messages: int) -> None:
    if why_not := missing():
        say(f"sending: skipped, {why_not}")
        return
    with standing() as (_, port):
        recipients(1, messages)
        rates: dict[str, list[float]] = {}
        for _ in range(ROUNDS):
            rates.setdefault(KEPT, []).append(source_rate(port, messages, "-d"))
            rates.setdefault(USUAL, []).append(source_rate(port, messages))
            for window in WINDOWS:
                rate = site_rate(messages, window)
                rates.setdefault(f"the site, window {window}", []).append(rate)
        report(
            messages, {name: statistics.median(all_) for name, all_ in rates.items()}
        )


def report(messages: int, medians: dict[str, float]) -> None:
    say(
        f"{messages:,} messages of {MESSAGE_BYTES:,} octets, "
        f"{PROCESSES * CONNECTIONS} connections, median of {ROUNDS}"
    )
    say(f"  {'':31} messages/s   of smtp-source   of it with connections kept")
    for name, rate in medians.items():
        usual, kept = rate / medians[USUAL], rate / medians[KEPT]
        say(f"  {name:31} {rate:10,.0f}   {usual:14.2f}   {kept:27.2f}")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 100_000)
