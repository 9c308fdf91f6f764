import shutil
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any, BinaryIO, TextIO

from django.core.management.base import BaseCommand, CommandError, CommandParser

from newsletter import cells
from newsletter.files import private_file
from newsletter.importfiles import COLUMNS, Checked, UnfitFile, check
from newsletter.importing import Fate, Happened, import_of, take_in

SECONDS_BETWEEN_LINES = 2.0


class Command(BaseCommand):
    help = (
        "Take in people from another list: a CSV file in UTF-8 with the columns "
        f"{', '.join(COLUMNS)}; all but the first may be missing. Nobody is mailed "
        "without proof of consent. The same file again changes nothing, and completes "
        "what was cut off."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("file", metavar="FILE.csv", help="or - for standard input")
        parser.add_argument(
            "--trust-evidence",
            action="store_true",
            help="you give your word, which is recorded, that agreed_at and wording "
            "are true: who has both is on the list at once",
        )
        parser.add_argument(
            "--report",
            type=Path,
            metavar="NEW.csv",
            help="what happened to each line, and why",
        )
        parser.add_argument(
            "--with-addresses",
            action="store_true",
            help="name the addresses in the report, not the lines alone",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            with _opened(options["file"]) as file:
                checked = check(file)
                self._take_in(file, checked, options)
        except UnfitFile as error:
            raise CommandError(str(error)) from error
        except OSError as error:
            raise CommandError(
                f"{error.filename or options['file']}: {error.strerror}."
            ) from error

    def _take_in(
        self, file: BinaryIO, checked: Checked, options: dict[str, Any]
    ) -> None:
        path = options["report"]
        with private_file(path, keep_half=True) if path else nullcontext() as report:
            told = _Report(report, with_addresses=options["with_addresses"])
            counts: Counter[Happened] = Counter()
            spoke_at = time.monotonic()
            for fates in take_in(
                file, checked, trust_evidence=options["trust_evidence"]
            ):
                told.tell(fates)
                counts.update(fate.happened for fate in fates)
                if time.monotonic() - spoke_at >= SECONDS_BETWEEN_LINES:
                    spoke_at = time.monotonic()
                    self.stderr.write(
                        f"{counts.total():,} of {checked.lines - 1:,} people"
                    )
        for happened in Happened:
            self.stdout.write(f"{counts[happened]:>11,}  {happened}")
        self.stdout.write(f"Import {import_of(checked).pk}.")


@contextmanager
def _opened(name: str) -> Iterator[BinaryIO]:
    """The file; standard input is kept on disk without a name, for it is read twice."""
    if name != "-":
        with open(name, "rb") as file:
            yield file
        return
    with tempfile.TemporaryFile() as copy:
        shutil.copyfileobj(sys.stdin.buffer, copy)
        yield copy


class _Report:
    def __init__(self, file: TextIO | None, *, with_addresses: bool) -> None:
        self._file = file
        self._with_addresses = with_addresses
        self._write([["line", "happened", "why", *(["address"] * with_addresses)]])

    def tell(self, fates: list[Fate]) -> None:
        self._write(
            [
                one.line.number,
                one.happened,
                one.why,
                *([one.line.typed] * self._with_addresses),
            ]
            for one in fates
        )

    def _write(self, rows: Any) -> None:
        if self._file:
            self._file.writelines(cells.lines(rows))
            self._file.flush()
