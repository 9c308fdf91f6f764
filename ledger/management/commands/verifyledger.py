import time
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from ledger.sealing import head
from ledger.verifying import Verification, verify

SECONDS_BETWEEN_LINES = 2.0


class Command(BaseCommand):
    help = (
        "Check the whole ledger: every link of the chain and every piece of evidence "
        "against what was committed to. Names the first bad entry and exits with 1."
    )
    # The chain can be looked at while a system check complains.
    requires_system_checks = []

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--witness",
            action="append",
            default=[],
            metavar="HASH",
            help="a head printed in a mail or on the trust page; may be repeated",
        )
        parser.add_argument(
            "--all", action="store_true", help="list up to 100 faults, not the first"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        self._spoke_at = time.monotonic()
        found = verify(witnesses=options["witness"], progress=self._progress)
        if found.is_whole:
            self.stdout.write(self._all_is_well(found))
            return
        shown = found.faults if options["all"] else found.faults[:1]
        lines = [
            f"entry {fault.entry}: {fault.sentence}" if fault.entry else fault.sentence
            for fault in shown
        ]
        more = len(found.faults) - len(shown)
        if more:
            lines.append(f"and {more} more: run it with --all")
        raise CommandError("The ledger is NOT whole.\n  " + "\n  ".join(lines))

    def _progress(self, done: int, total: int) -> None:
        if time.monotonic() - self._spoke_at >= SECONDS_BETWEEN_LINES:
            self._spoke_at = time.monotonic()
            self.stderr.write(f"looked at {done:,} of {total:,} entries")

    def _all_is_well(self, found: Verification) -> str:
        newest = head()
        end = f"; head {newest.position} {newest.hash}" if newest else ""
        waiting = found.entries - found.sealed
        return (
            f"The ledger is whole: {found.entries:,} entries, {found.sealed:,} sealed, "
            f"{waiting:,} waiting for their seal{end}."
        )
