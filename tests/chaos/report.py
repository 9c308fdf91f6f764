"""What a person reads: a line while it goes on, a table at the end."""

from collections.abc import Sequence

from tests.chaos.result import Result
from tests.chaos.scenarios import SCENARIOS
from twitchsite.embedded.screen import Screen

COUNTED = ("kills", "eligible", "accepted", "lost", "twice", "uncertain")
HEAD = ["scenario", "seed", *COUNTED]


def greet(screen: Screen, scenarios: Sequence[str], seeds: Sequence[int]) -> None:
    screen.heading("Chaos")
    numbers = ", ".join(map(str, seeds))
    screen.line(f"{len(scenarios)} scenarios for the seeds {numbers}, side by side.")
    screen.line()


def progress(screen: Screen, result: Result) -> None:
    words = f"{SCENARIOS[result.scenario].title} (seed {result.seed})"
    dots = "." * max(3, 55 - len(words))
    took = f"{result.seconds:5.1f} s"
    screen.line(f"  {result.scenario:<9}{words} {dots} {took}  {result.verdict}")
    for complaint in result.complaints:
        screen.line(f"  {'':9}{complaint}")


def table(screen: Screen, results: Sequence[Result], missing: Sequence[str]) -> None:
    """In the plan's order; what failed is said below."""
    places = list(SCENARIOS)
    ordered = sorted(results, key=lambda one: (places.index(one.scenario), one.seed))
    rows = [[one.scenario, str(one.seed), *_numbers([one])] for one in ordered]
    screen.line()
    screen.table(_aligned([HEAD, *rows, ["all", "", *_numbers(ordered)]]))
    screen.line()
    for text in missing:
        screen.line(f"  {text}")
    failed = len(missing) + sum(not one.passed for one in ordered)
    screen.line(f"{failed} failed." if failed else "Nobody was lost or mailed twice.")


def _numbers(results: Sequence[Result]) -> list[str]:
    return [f"{sum(getattr(one, name) for one in results):,}" for name in COUNTED]


def _aligned(rows: Sequence[Sequence[str]]) -> list[list[str]]:
    """Numbers stand below each other by their last digit."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        [
            row[0],
            *(
                cell.rjust(width)
                for cell, width in zip(row[1:], widths[1:], strict=True)
            ),
        ]
        for row in rows
    ]
