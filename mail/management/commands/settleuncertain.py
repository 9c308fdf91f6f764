import io
import sys
from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Any

from django.core.management.base import BaseCommand

from mail.maillog import Line, taken
from mail.models import Delivery
from mail.uncertain import settle_as_arrived

AT_ONCE = 1000
State = Delivery.State


class Command(BaseCommand):
    help = (
        "Settle uncertain deliveries as arrived: those whose Message-ID the mail "
        "server's log shows as taken. Reads lines of a Postfix log, or Message-IDs "
        "one a line, from standard input. Nothing is ever sent, and only uncertain "
        "deliveries change."
    )

    def handle(self, *args: Any, **options: Any) -> None:
        text = io.TextIOWrapper(sys.stdin.buffer, "utf-8", "replace")
        settled = unmatched = 0
        for lines in _in_parts(taken(text)):
            done, problems = self._settle(lines)
            settled, unmatched = settled + done, unmatched + problems
        left = Delivery.objects.uncertain().count()
        self.stdout.write(
            f"{_counted(settled, 'delivery', 'deliveries')} settled as arrived, "
            f"{_counted(unmatched, 'line', 'lines')} without effect, "
            f"{left} still uncertain."
        )

    def _settle(self, lines: list[Line]) -> tuple[int, int]:
        """How many were settled, and how many lines changed nothing."""
        keys = [one.key for one in lines if one.key]
        rows = Delivery.objects.filter(key__in=keys)
        known = {key: (pk, state) for key, pk, state in rows.values_list(*KEYED)}
        unmatched = 0
        for line in lines:
            if said := _problem(line, known):
                unmatched += 1
                self.stdout.write(f"line {line.number}: {said}")
        return settle_as_arrived(rows, by=None), unmatched


KEYED = ("key", "pk", "state")


def _problem(line: Line, known: dict[Any, tuple[int, str]]) -> str:
    """Why the line settles nothing; empty when it does."""
    if line.key is None:
        return line.problem
    if line.key not in known:
        return "no delivery has this Message-ID"
    pk, state = known[line.key]
    if state != State.UNCERTAIN:
        return f"delivery {pk} is not uncertain but {State(state).label.lower()}"
    return ""


def _in_parts(lines: Iterable[Line]) -> Iterator[list[Line]]:
    rest = iter(lines)
    while part := list(islice(rest, AT_ONCE)):
        yield part


def _counted(number: int, one: str, many: str) -> str:
    return f"{number} {one if number == 1 else many}"
