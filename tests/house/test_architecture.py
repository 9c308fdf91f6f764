"""Apps meet only at their doors: imports point down one list."""

import ast
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
DOORS = {
    "ledger": (),
    "mail": (),
    "review": ("ledger", "mail"),
    "articles": ("ledger", "review", "mail"),
    "newsletter": ("ledger", "mail", "review", "articles.catalogue"),
    "comments": ("review", "articles.catalogue"),
    "pages": (
        "ledger",
        "mail",
        "review",
        "articles.catalogue",
        "newsletter",
        "comments",
    ),
}


def imported_modules(source: str) -> Iterator[str]:
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module


def trespasses(app: str, doors: tuple[str, ...]) -> list[str]:
    """`file: module` for each import of `app` that goes round a door."""
    others = {*DOORS, "twitchsite"} - {app}
    return [
        f"{file.relative_to(ROOT)}: {module}"
        for file in sorted((ROOT / app).rglob("*.py"))
        for module in imported_modules(file.read_text())
        if module.split(".")[0] in others and module not in doors
    ]


def test_apps_meet_only_at_their_doors() -> None:
    assert [t for app, doors in DOORS.items() for t in trespasses(app, doors)] == []


def test_it_sees_an_import_that_goes_round_a_door() -> None:
    assert list(
        imported_modules("from ledger.models import Entry\nimport mail.smtp")
    ) == [
        "ledger.models",
        "mail.smtp",
    ]
