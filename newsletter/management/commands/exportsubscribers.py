import os
import sys
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from newsletter.exporting import export_lines
from newsletter.files import private_file
from newsletter.models import Subscriber


class Command(BaseCommand):
    help = (
        "Write the list as CSV, to standard output or to a new file that you alone can "
        "read. Delete it when you are done: the site erases people here, not there."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("file", nargs="?", type=Path, metavar="FILE.csv")
        parser.add_argument(
            "--status",
            choices=Subscriber.Status.values,
            default="",
            help="only who has this status",
        )
        parser.add_argument(
            "--with-topics",
            action="store_true",
            help="the topics that people chose too; they are data about health",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        lines = export_lines(
            status=options["status"], with_topics=options["with_topics"]
        )
        if options["file"] is None:
            self._print(lines)
            return
        try:
            with private_file(options["file"]) as file:
                people = sum(1 for line in lines if file.write(line)) - 1
        except OSError as error:
            raise CommandError(
                f"{options['file']} can't be written: {error.strerror}. Name a file "
                "that is not there yet."
            ) from error
        self.stderr.write(f"{people:,} people written to {options['file']}.")

    def _print(self, lines: Any) -> None:
        try:
            for line in lines:
                self.stdout.write(line, ending="")
            self.stdout.flush()
        except BrokenPipeError:
            # `head` has seen enough; nothing is left to be flushed at exit.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
