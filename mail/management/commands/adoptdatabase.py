from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import OperationalError, ProgrammingError

from mail.adopting import AdoptedMeanwhile, adopt, what_waits
from mail.environment import Finding, look
from mail.hosts import UnreadableFile, this_host

UNCHANGED = "Nothing was changed."
KEPT = """\
  Kept, it goes out at once. Batches that could not begin within their hour still
  wait for a person, and what is a day late is given up.
"""
TWICE = """\
  What left since these data were kept waits here again: kept, people get it twice.

"""


class Command(BaseCommand):
    help = (
        "Let this environment send what the database holds: after restoring a backup, "
        "moving to another machine, or a new SITE_URL. Shows what differs and what "
        "waits, and asks first."
    )
    # It is the remedy for a warning; it must not wait for other findings.
    requires_system_checks = []

    def add_arguments(self, parser: CommandParser) -> None:
        choice = parser.add_mutually_exclusive_group()
        choice.add_argument(
            "--keep", action="store_true", help="send what waits, as far as it is due"
        )
        choice.add_argument(
            "--drop", action="store_true", help="call back what waits, for good"
        )
        parser.add_argument(
            "--yes", action="store_true", help="ask nothing; for scripts"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            self._adopt(**options)
        except (OperationalError, ProgrammingError) as error:
            raise CommandError(
                f"The database can't be asked; has it been migrated? ({error})"
            ) from error

    def _adopt(self, *, keep: bool, drop: bool, yes: bool, **options: Any) -> None:
        found = self._look()
        if found.recorded and not found.differences:
            self.stdout.write("This database sends from here already. Nothing to do.")
            return
        self._show(found)
        count = self._show_what_waits(found)
        if count and not keep and not drop:
            raise CommandError(
                f"{UNCHANGED} Say what becomes of it: --keep sends it, --drop calls it "
                "back."
            )
        if found.differences and not yes:
            self._ask(found.here.database_name)
        try:
            dropped = adopt(found, drop=drop)
        except AdoptedMeanwhile as error:
            raise CommandError(
                f"{UNCHANGED} Somebody else adopted it at the same moment; run it "
                "again to see how it is now."
            ) from error
        self.stdout.write(self.style.SUCCESS("This database sends from here now."))
        if dropped:
            self.stdout.write(f"Called back, never to be sent: {dropped:,}.")

    def _look(self) -> Finding:
        try:
            return look(this_host())
        except UnreadableFile as error:
            self.stdout.write(f"{error}; it gets a new one.")
            return look(this_host(renew=True))

    def _show(self, found: Finding) -> None:
        if not found.differences:
            self.stdout.write("This database never sent from anywhere.")
            return
        self.stdout.write(
            "This database is held, and nothing is sent. What differs:\n\n"
        )
        rows = [("", "recorded", "here"), *found.differences]
        widths = [max(len(row[column]) for row in rows) for column in (0, 1)]
        for row in rows:
            self.stdout.write(
                f"  {row[0]:<{widths[0]}}  {row[1]:<{widths[1]}}  {row[2]}".rstrip()
            )
        self.stdout.write("")

    def _show_what_waits(self, found: Finding) -> int:
        rows, names = what_waits(), {one.what for one in found.differences}
        if not rows:
            self.stdout.write("Nothing waits to be sent.\n\n")
            return 0
        self.stdout.write("What waits to be sent:\n\n")
        for row in rows:
            of = f"  {row.batch} ({row.batch_state})" if row.batch else ""
            self.stdout.write(f"  {row.count:>9,}  {row.kind}{of}")
        self.stdout.write("\n" + (TWICE if "data" in names else "") + KEPT + "\n")
        return sum(row.count for row in rows)

    def _ask(self, name: str) -> None:
        self.stdout.write(
            f"From now on this environment sends, and no other. Type {name} to go on: ",
            ending="",
        )
        self.stdout.flush()
        try:
            typed = input()
        except EOFError:
            typed = ""
        if typed.strip() != name:
            raise CommandError(UNCHANGED)
