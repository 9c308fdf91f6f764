"""A million tips: how long their rows take, what a sender needs, who waits for them.

    python -m bench.million [messages]

Real workers by `up`'s own commands. While the million leaves people sign up; printed
is how long each waits for the confirmation mail to be accepted.
"""

import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from io import StringIO
from pathlib import Path

from bench.stand import ROOT, missing, recipients, say, standing, tip_for_everybody
from twitchsite.up import BEAT, SENDERS, WORKER

FEW = 10_000
SIGN_UPS = 20
PATIENCE_SECONDS = 60


@contextmanager
def at_work(folder: Path) -> Iterator[list[int]]:
    """Worker, senders and beat; the senders' process ids."""
    beat = (*BEAT, "--schedule", str(folder / "beat"))
    others = [_start(WORKER), _start(beat)]
    senders = [_start(command) for command in SENDERS.values()]
    try:
        yield [one.pid for one in senders]
    finally:
        for one in [*senders, *others]:
            one.terminate()
        for one in [*senders, *others]:
            one.wait()


def _start(command: tuple[str, ...]) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        command,
        cwd=ROOT,
        env=os.environ,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )


def peak_megabytes(pid: int) -> float:
    """The most memory the process ever held (VmHWM)."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    (peak,) = (line.split()[1] for line in lines if line.startswith("VmHWM"))
    return int(peak) / 1024


def send(folder: Path, *, sign_ups: int) -> tuple[float, list[float]]:
    """The senders' peak memory, and each new subscriber's wait in seconds."""
    from mail import Batch, Delivery

    begun = time.monotonic()
    batch = tip_for_everybody()
    say(f"  {batch.eligible:9,} rows made in {time.monotonic() - begun:.1f} s")
    begun = time.monotonic()
    with at_work(folder) as senders:
        _wait_until(batch.deliveries.filter(state=Delivery.State.ACCEPTED)[:1].exists)
        waits = [_sign_up(number) for number in range(sign_ups)]
        finished = Batch.objects.filter(pk=batch.pk, state=Batch.State.FINISHED)
        assert not sign_ups or not finished.exists(), "nobody waited for anything"
        _wait_until(finished.exists)
        peak = max(peak_megabytes(pid) for pid in senders)
    rate = batch.eligible / (time.monotonic() - begun)
    say(f"  {batch.eligible:9,} handed over, {rate:,.0f} a second with the start")
    return peak, waits


def _wait_until(is_so: Callable[[], bool]) -> None:
    while not is_so():
        time.sleep(0.2)


def _sign_up(number: int) -> float:
    """Seconds from the box to the mail server's 250; `PATIENCE_SECONDS` at most."""
    from mail import Delivery
    from newsletter.subscribing import take_sign_up

    begun = time.monotonic()
    take_sign_up(f"new{number}@example.org")
    mine = Delivery.objects.filter(
        recipient__address=f"new{number}@example.org", state=Delivery.State.ACCEPTED
    )
    while not mine.exists() and time.monotonic() - begun < PATIENCE_SECONDS:
        time.sleep(0.05)
    return time.monotonic() - begun


def main(messages: int) -> None:
    if why_not := missing():
        say(f"million: skipped, {why_not}")
        return
    with (
        standing(DEMO="1", HANDOVER_WINDOW="10"),
        tempfile.TemporaryDirectory() as folder,
    ):
        from django.core.management import call_command

        call_command("demonstrate", stdout=StringIO(), stderr=StringIO())
        recipients(1, FEW)
        few, _ = send(Path(folder), sign_ups=0)
        recipients(FEW + 1, messages)
        many, waits = send(Path(folder), sign_ups=SIGN_UPS)
        say(f"  a sender's memory: {few:.0f} and {many:.0f} MB, {many / few:.2f} x")
        say(
            f"  from signing up to the mail server's 250: median "
            f"{statistics.median(waits):.1f} s, longest {max(waits):.1f} s"
        )


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000)
