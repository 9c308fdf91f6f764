"""Apps meet only at their doors: imports point down one list."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
DOORS = {
    "ledger": (),
    "mail": (),
    "review": ("ledger", "mail"),
    "articles": ("ledger", "review", "mail"),
    "newsletter": ("ledger", "mail", "review", "articles.catalogue"),
    "comments": ("mail", "review", "articles.catalogue"),
    "pages": (
        "ledger",
        "mail",
        "review",
        "articles.catalogue",
        "newsletter",
        "comments",
    ),
}


def imports(source: str) -> Iterator[set[str]]:
    """For each import the ways to name what it reaches: `a.b`, or `a` through `a.b`."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from ({alias.name} for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield from (
                {node.module, f"{node.module}.{one.name}"} for one in node.names
            )


def trespasses(app: str, doors: tuple[str, ...]) -> list[str]:
    """`file: module` for each import of `app` that goes round a door."""
    others = {*DOORS, "twitchsite"} - {app}
    return [
        f"{file.relative_to(ROOT)}: {min(names)}"
        for file in sorted((ROOT / app).rglob("*.py"))
        for names in imports(file.read_text())
        if min(names).split(".")[0] in others and not names & set(doors)
    ]


def test_apps_meet_only_at_their_doors() -> None:
    assert [t for app, doors in DOORS.items() for t in trespasses(app, doors)] == []


@pytest.mark.parametrize(
    ("line", "passes"),
    [
        ("from ledger import record", True),
        ("from ledger.models import Entry", False),
        ("import ledger.models", False),
        ("from articles import catalogue", True),
        ("from articles.catalogue import cards", True),
        ("from articles import models", False),
    ],
)
def test_a_door_is_a_face_or_a_module(line: str, passes: bool) -> None:
    (names,) = imports(line)

    assert bool(names & {"ledger", "articles.catalogue"}) is passes
