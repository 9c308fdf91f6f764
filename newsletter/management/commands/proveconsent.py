import json
import time
from pathlib import Path
from typing import Any

import structlog
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import DataError

from ledger import Verification, verify
from mail import NotAnAddress
from newsletter.files import private_file
from newsletter.proving import ConsentProof, Unknown, find, prove_consent

TAMPERED = 2
SECONDS_BETWEEN_LINES = 2.0
log = structlog.get_logger(__name__)


class Command(BaseCommand):
    help = (
        "Show what one person agreed to, in the very words, with what the ledger holds "
        "of it and whether it stands. Exits with 1 if nobody has the address, with 2 "
        "and the names of the rows if evidence was changed."
    )
    # The evidence can be looked at while a system check complains.
    requires_system_checks = []

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("address", help="the whole address, in any spelling")
        form = parser.add_mutually_exclusive_group()
        form.add_argument("--json", action="store_true", help="for machines")
        form.add_argument(
            "--html",
            type=Path,
            metavar="FILE",
            help="a new file that you alone can read: one page to print, "
            "which loads nothing",
        )
        parser.add_argument(
            "--terms", action="store_true", help="the whole text of the Terms too"
        )
        parser.add_argument(
            "--quick",
            action="store_true",
            help="this person's rows alone: a row that was moved to somebody else, or "
            "taken away, may go unseen",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            subscriber = find(options["address"])
        except (NotAnAddress, Unknown) as error:
            raise CommandError(str(error)) from error
        # Who asked is the shell's to know; the address stays out of the log.
        log.info("consent proved", subscriber=subscriber.pk)
        self._spoke_at = time.monotonic()
        ledger = None if options["quick"] else verify(progress=self._progress)
        try:
            proof = prove_consent(
                subscriber, with_terms=options["terms"], ledger=ledger
            )
        except DataError as error:
            raise _unreadable(ledger) from error
        self._show(proof, options)
        if proof.faults:
            raise _tampered(proof.faults)

    def _show(self, proof: ConsentProof, options: dict[str, Any]) -> None:
        if options["json"]:
            self.stdout.write(json.dumps(proof.told, ensure_ascii=False, indent=2))
        elif options["html"] is None:
            self.stdout.write(proof.as_text())
        else:
            self._keep(proof.as_page(), options["html"])

    def _keep(self, page: str, path: Path) -> None:
        try:
            with private_file(path) as file:
                file.write(page)
        except OSError as error:
            raise CommandError(
                f"{path} can't be written: {error.strerror}. Name a file that is not "
                "there yet."
            ) from error
        self.stderr.write(f"The proof is in {path}.")

    def _progress(self, done: int, total: int) -> None:
        if time.monotonic() - self._spoke_at >= SECONDS_BETWEEN_LINES:
            self._spoke_at = time.monotonic()
            self.stderr.write(f"looked at {done:,} of {total:,} entries")


def _tampered(faults: list[str]) -> CommandError:
    named = "\n  ".join(faults)
    return CommandError(f"This is NOT proved:\n  {named}", returncode=TAMPERED)


def _unreadable(ledger: Verification | None) -> CommandError:
    """A time was altered into one that nothing can read."""
    faults = [one.sentence for one in ledger.faults] if ledger else []
    return _tampered(faults or ["a row can't be read: run manage.py verifyledger"])
