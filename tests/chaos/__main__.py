"""`make chaos`: everything that can go wrong, and who was lost or mailed twice by it.

Seeds run side by side, each on servers of its own. Exits 1 if anybody was lost or
mailed twice, or a scenario's own condition failed.
"""

import argparse
import json
import os
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path

from tests.chaos import report
from tests.chaos.result import Result
from tests.chaos.scenarios import SCENARIOS
from tests.chaos.site import ROOT
from twitchsite import embedded
from twitchsite.embedded.interruptions import Interrupted, ignore, listen
from twitchsite.embedded.processes import Child, Program
from twitchsite.embedded.screen import Screen

# Servers stop within this, workers before them.
STOP_SECONDS = 60


class Seeds:
    """One process a seed, and the rows that it has written so far."""

    def __init__(self, folder: embedded.DataFolder, asked: argparse.Namespace) -> None:
        self._folder = folder
        self._asked = asked
        self._children = {seed: self._child(seed) for seed in asked.seeds}
        self.results: list[Result] = []

    def _child(self, seed: int) -> Child:
        length = "short" if self._asked.short else "long"
        place = self._folder.path / f"seed{seed}"
        results = str(self._results(seed))
        words = (
            results,
            str(place),
            str(seed),
            length,
            *_turned(self._asked.scenarios, seed),
        )
        return Child(
            Program(
                name=f"seed{seed}",
                command=(sys.executable, "-m", "tests.chaos.seed", *words),
                folder=self._folder.run,
                log=self._folder.log(f"seed{seed}"),
                record=self._folder.run / f"seed{seed}.pid",
                environment={**os.environ, "PYTHONPATH": str(ROOT)},
                stop_seconds=STOP_SECONDS,
            )
        )

    def _results(self, seed: int) -> Path:
        return self._folder.path / f"results{seed}"

    def start(self) -> None:
        for seed, child in self._children.items():
            self._results(seed).unlink(missing_ok=True)
            child.start()

    def stop(self) -> None:
        for child in self._children.values():
            child.stop()

    def news(self) -> Iterator[Result]:
        """Each result as it comes, until every seed has ended."""
        running = True
        while running:
            running = any(child.is_running() for child in self._children.values())
            known = {(one.seed, one.scenario) for one in self.results}
            for result in self._written():
                if (result.seed, result.scenario) not in known:
                    self.results.append(result)
                    yield result
            time.sleep(0.2)

    def _written(self) -> list[Result]:
        paths = [self._results(seed) for seed in self._children]
        texts = [path.read_text() for path in paths if path.exists()]
        lines = [line for text in texts for line in text.split("\n")[:-1]]
        return [Result(**json.loads(line)) for line in lines]

    def missing(self) -> list[str]:
        """What ought to have a result and has none."""
        known = {(one.seed, one.scenario) for one in self.results}
        return [
            f"seed {seed}, {name}: no result; see {child.program.log}"
            for seed, child in self._children.items()
            for name in self._asked.scenarios
            if (seed, name) not in known
        ]


def _turned(names: Sequence[str], seed: int) -> list[str]:
    """Each seed begins elsewhere, so that the heavy ones don't coincide."""
    start = seed * len(names) // 3 % len(names)
    return [*names[start:], *names[:start]]


def asked_for(words: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make chaos", description=__doc__)
    parser.add_argument("--seeds", type=_numbers, default=[1, 2, 3])
    parser.add_argument("--scenarios", type=_names, default=[])
    parser.add_argument("--short", action="store_true", help="as in make test")
    parser.add_argument("--json", action="store_true", help="rows as JSON, no table")
    parser.add_argument("--folder", type=Path, default=ROOT / "var" / "chaos")
    asked = parser.parse_args(words)
    asked.scenarios = asked.scenarios or [
        one.id for one in SCENARIOS.values() if one.in_tests or not asked.short
    ]
    return asked


def _numbers(text: str) -> list[int]:
    return [int(word) for word in text.split()]


def _names(text: str) -> list[str]:
    names = text.split()
    if unknown := [name for name in names if name not in SCENARIOS]:
        known = ", ".join(SCENARIOS)
        raise argparse.ArgumentTypeError(f"{unknown[0]} is none of {known}")
    return names


@contextmanager
def interruptible(seeds: Seeds) -> Iterator[None]:
    try:
        seeds.start()
        yield
    finally:
        ignore()
        seeds.stop()


def main(words: Sequence[str]) -> int:
    asked = asked_for(words)
    screen = Screen(2 if asked.json else 1)
    listen()
    try:
        with embedded.data_folder(asked.folder) as folder:
            embedded.end_all_left(folder.run)
            for log in (folder.path / "log").iterdir():
                log.unlink()
            seeds = Seeds(folder, asked)
            report.greet(screen, asked.scenarios, asked.seeds)
            with interruptible(seeds):
                for result in seeds.news():
                    report.progress(screen, result)
            missing = seeds.missing()
    except embedded.CannotStart as error:
        screen.refusal(error)
        return 1
    except Interrupted as interruption:
        screen.line("Stopped; nothing of it is running any more.")
        return interruption.status
    if asked.json:
        rows = json.dumps([asdict(one) for one in seeds.results])
        sys.stdout.write(f"{rows}\n")
    else:
        report.table(screen, seeds.results, missing)
    return int(bool(missing) or not all(one.passed for one in seeds.results))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
