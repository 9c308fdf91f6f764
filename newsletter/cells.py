"""CSV that a spreadsheet shows and does not run (OWASP ASVS 1.2.10, CSV injection)."""

import csv
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime

# What makes a spreadsheet take a cell for a formula, or begin another one.
FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r", "\n", "\0")


class _Line:
    """A file for `csv.writer` that gives each line back."""

    def write(self, text: str) -> str:
        return text


def lines(rows: Iterable[Iterable[object]]) -> Iterator[str]:
    """Each row as a line of CSV (RFC 4180) without a formula in it."""
    writer = csv.writer(_Line())
    for row in rows:
        yield writer.writerow([cell(value) for value in row])


def cell(value: object) -> str:
    """The value as text; an apostrophe before what would be a formula."""
    text = _text(value)
    return f"'{text}" if text.startswith(FORMULA_STARTS) else text


def _text(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat(timespec="seconds")
    return str(value)
