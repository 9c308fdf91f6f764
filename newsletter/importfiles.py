"""The CSV file of another list: read a line at a time, refused in whole sentences."""

import csv
import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import sha256
from typing import BinaryIO

from django.utils import timezone

from mail import NotAnAddress, canonical_address

ADDRESS = "address"
# What each column of evidence may hold at most, in characters.
EVIDENCE = {"agreed_at": 40, "wording": 5_000, "terms": 500, "page": 500, "source": 500}
COLUMNS = (ADDRESS, *EVIDENCE)


class UnfitFile(Exception):
    """Nothing can be taken from it; the message says why to the operator."""


class UnfitLine(Exception):
    """The message says why, and holds nothing of the line."""


@dataclass(frozen=True, slots=True)
class Checked:
    """What a file is, once it was read to its end."""

    digest: str
    lines: int


@dataclass(frozen=True, slots=True)
class Evidence:
    """What a file says of a consent; "" where it says nothing."""

    agreed_at: datetime | None
    wording: str
    terms: str
    page: str
    source: str

    @property
    def is_proof(self) -> bool:
        """When and in which words (GDPR 7(1)): the least that a consent is."""
        return bool(self.agreed_at and self.wording)


@dataclass(frozen=True, slots=True)
class Line:
    """One person of the file; `number` is the line's, the heading being the first."""

    number: int
    typed: str
    address: str
    evidence: Evidence | None
    # Why nothing can be done with it.
    problem: str = ""


def check(file: BinaryIO) -> Checked:
    """Read it to its end before anything is changed. Raises UnfitFile."""
    file.seek(0)
    digest = sha256()
    while piece := file.read(1 << 20):
        digest.update(piece)
    return Checked(digest.hexdigest(), sum(1 for _ in _records(file)))


def lines(file: BinaryIO) -> Iterator[Line]:
    """The people of a file that was checked, in its order."""
    records = _records(file)
    _, heading = next(records)
    names = [name.strip() for name in heading]
    for number, row in records:
        yield _line(number, names, row)


def _line(number: int, names: list[str], row: Sequence[str]) -> Line:
    if len(row) > len(names):
        return Line(number, "", "", None, "It has more fields than there are columns.")
    said = dict(zip(names, row, strict=False))
    typed = said.get(ADDRESS, "")
    try:
        return Line(number, typed, canonical_address(typed), _evidence(said))
    except (NotAnAddress, UnfitLine) as error:
        return Line(number, typed, "", None, str(error))


def _evidence(said: dict[str, str]) -> Evidence | None:
    """None where the line says nothing of a consent. Raises UnfitLine."""
    found = {name: said.get(name, "").strip() for name in EVIDENCE}
    for name, text in found.items():
        if len(text) > EVIDENCE[name]:
            raise UnfitLine(f"{name} has more than {EVIDENCE[name]:,} characters.")
        if "\0" in text:
            raise UnfitLine(f"{name} has a NUL character.")
    if not any(found.values()):
        return None
    at = _moment(found.pop("agreed_at"))
    return Evidence(agreed_at=at, **found)


def _moment(text: str) -> datetime | None:
    if not text:
        return None
    try:
        at = datetime.fromisoformat(text)
        at = at if at.tzinfo else at.replace(tzinfo=UTC)
        at = at.astimezone(UTC)
    except (ValueError, OverflowError) as error:
        raise UnfitLine(
            "agreed_at is no time: write 2024-05-01T09:30:00+02:00 (UTC without +)."
        ) from error
    if not datetime(1990, 1, 1, tzinfo=UTC) < at <= timezone.now():
        raise UnfitLine("agreed_at is in the future, or before there were newsletters.")
    return at


def _records(file: BinaryIO) -> Iterator[tuple[int, list[str]]]:
    """Each record with the number of its first line, the heading first.

    Raises UnfitFile. The file stays open.
    """
    file.seek(0)
    text = io.TextIOWrapper(file, encoding="utf-8-sig", newline="")
    try:
        yield from _parsed(text)
    except UnicodeDecodeError as error:
        raise UnfitFile(
            "The file is not UTF-8. Save it as “CSV UTF-8” and try again; nothing was "
            "changed."
        ) from error
    finally:
        text.detach()


def _parsed(text: io.TextIOWrapper) -> Iterator[tuple[int, list[str]]]:
    reader = csv.reader(text, strict=True)
    begins = 1
    try:
        for row in reader:
            if begins == 1:
                _refuse_heading(row)
            if row:
                yield begins, row
            begins = reader.line_num + 1
    except csv.Error as error:
        raise UnfitFile(
            f"Line {begins} is no CSV ({error}). Nothing was changed."
        ) from error
    if begins == 1:
        raise UnfitFile("The file is empty.")


def _refuse_heading(row: Sequence[str]) -> None:
    names = [name.strip() for name in row]
    known = f"Known are {', '.join(COLUMNS)}, separated by commas."
    if any("@" in name for name in names):
        raise UnfitFile(f"The first line must name the columns. {known}")
    if unknown := [name or "(without a name)" for name in names if name not in COLUMNS]:
        raise UnfitFile(
            f"Columns that nobody knows here: {', '.join(unknown)}. {known}"
        )
    if ADDRESS not in names:
        raise UnfitFile(f"The column {ADDRESS} is missing. {known}")
    if len(set(names)) < len(names):
        raise UnfitFile(f"A column is there twice. {known}")
