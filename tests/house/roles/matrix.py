"""The tables of docs/roles.md as data, and what a cell means."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

DOCUMENT = Path(__file__).resolve().parents[3] / "docs/roles.md"
Row = dict[str, str]


@dataclass(frozen=True)
class Target:
    """Something to try a verb on: is it the person's own, and what is it about?"""

    obj: Any
    about: str = "article"
    own: bool = False
    # Only a superuser touches it, whatever the cell says.
    above: bool = False


def allows(cell: str, target: Target) -> bool:
    return (
        not target.above
        and {
            "": False,
            "x": True,
            "own": target.own and target.about == "article",
            "not own": not target.own,
            "articles": target.about == "article",
            "policies": target.about == "policy",
            "tips": target.about == "tip",
        }[cell]
    )


def _cells(line: str) -> list[str]:
    return [one.strip().strip("`") for one in line.strip().strip("|").split("|")]


def _rows(first_heading: str) -> Iterator[tuple[str, Row]]:
    """Each row of the tables whose first two headings are this one and `name`."""
    header: list[str] = []
    for line in DOCUMENT.read_text().splitlines():
        if not line.startswith("|"):
            header = []
        elif not header:
            header = _cells(line)
        elif header[:2] == [first_heading, "name"] and not line.startswith("|--"):
            cells = _cells(line)
            yield cells[1], dict(zip(header[2:], cells[2:], strict=True))


VERBS = dict(_rows("what"))
LISTS = dict(_rows("list"))
ROLES = list(next(iter(VERBS.values())))
# With them, who is no role: a member of staff in no group, and somebody from outside.
WHO = [*ROLES, "staff without a role", "anonymous"]
