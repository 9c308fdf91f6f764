"""A list of two million people comes in: how long it takes, and in how much memory.

    python -m bench.imports [people]

The command itself, as a process of its own, on a database with fsync on; first a file
without evidence, then a tenth as many people with evidence that is trusted.
"""

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from bench.stand import ROOT, configure, say
from twitchsite import embedded

FEW = 20_000
DOMAINS = 5_000
WORDING = "Yes, send me the newsletter about once a week. I can leave at any time."


def write(path: Path, people: int, *, evidence: bool) -> None:
    """A file of invented people, none of them in another one."""
    more = f",2021-05-01T09:30:00Z,{WORDING!r},Terms 3,https://old.example/join,export"
    with path.open("w", encoding="utf-8") as file:
        file.write(
            "address,agreed_at,wording,terms,page,source\n" if evidence else "address\n"
        )
        for number in range(people):
            address = f"{path.stem}.{number}@mail{number % DOMAINS}.example"
            file.write(f"{address}{more if evidence else ''}\n".replace("'", '"'))


def take_in(path: Path, *options: str) -> tuple[float, float]:
    """Seconds and the process's peak memory in megabytes."""
    begun = time.monotonic()
    command = [sys.executable, "manage.py", "importsubscribers", str(path), *options]
    process = subprocess.Popen(
        command,
        cwd=ROOT,
        env=os.environ,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    _, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    assert process.returncode == 0, "the import failed"
    return time.monotonic() - begun, used.ru_maxrss / 1024


def main(people: int) -> None:
    with (
        tempfile.TemporaryDirectory(prefix="twitchsite-bench-") as name,
        embedded.running(Path(name), durable=True) as services,
    ):
        configure(services, 25, DATA_DIR=name)
        folder = Path(name)
        peaks = [
            _measure(folder / f"{stem}.csv", count, *options)
            for stem, count, options in (
                ("few", FEW, ()),
                ("many", people, ()),
                ("proven", people // 10, ("--trust-evidence",)),
            )
        ]
        say(f"  memory of many against few: {peaks[1] / peaks[0]:.2f} x")
        seconds, peak = take_in(folder / "many.csv")
        say(f"  many again: {seconds:.0f} s, {peak:.0f} MB; nothing is doubled:")
        from newsletter.models import Subscriber

        there = Subscriber.objects.count()
        assert there == FEW + people + people // 10, there
        say(f"  {there:,} subscribers")


def _measure(path: Path, count: int, *options: str) -> float:
    write(path, count, evidence=bool(options))
    seconds, peak = take_in(path, *options)
    rate = count / seconds
    say(
        f"  {path.stem:<7}{count:10,} people in {seconds:6.1f} s, {rate:7,.0f} a "
        f"second, {peak:.0f} MB at most"
    )
    return peak


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 2_000_000)
