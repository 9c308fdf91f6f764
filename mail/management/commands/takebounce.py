import os
import sys
from typing import Any, BinaryIO

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import Error

from mail.bounces import take
from mail.mime import LONGEST_MESSAGE


class Command(BaseCommand):
    help = (
        "Take one mail that came back, from standard input: for a mail server's pipe. "
        "Exits with 0 for whatever was noted or ignored, and with 75 (EX_TEMPFAIL) "
        "while the database is away, so that the mail server keeps the mail."
    )
    # A pipe runs for each mail; the site's checks are not its business.
    requires_system_checks = []

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--to", metavar="ADDRESS", help="the envelope's recipient")

    def handle(self, *args: Any, **options: Any) -> None:
        raw = _read(sys.stdin.buffer)
        try:
            taken = take(raw, options["to"])
        except Error as error:
            raise CommandError(
                f"The database is away, keep the mail: {type(error).__name__}",
                returncode=os.EX_TEMPFAIL,
            ) from error
        self.stdout.write(str(taken))


def _read(pipe: BinaryIO) -> bytes:
    """The first megabyte. The rest is read too: a closed pipe looks like failure."""
    raw = pipe.read(LONGEST_MESSAGE)
    while pipe.read(LONGEST_MESSAGE):
        pass
    return raw
