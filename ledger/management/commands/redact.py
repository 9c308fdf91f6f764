from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import OperationalError, connections

from ledger.redacting import NothingToRedact, redact

OWNER = "owner"


class Command(BaseCommand):
    help = (
        "Blank a text or picture that must go for a lawful reason, as the tables' "
        "owner. Its digest and every verdict on it stay; the trust page lists it."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("digest", help="of the text, as the admin shows it")
        parser.add_argument("--reason", required=True, help="printed for everybody")

    def handle(self, *args: Any, **options: Any) -> None:
        if OWNER not in connections.settings:
            raise CommandError(
                "MIGRATION_DATABASE_URL is not set: it names the role that owns the "
                "tables, as postgresql://owner:password@host/name."
            )
        try:
            tables = redact(options["digest"], reason=options["reason"], using=OWNER)
        except (NothingToRedact, ValueError) as error:
            raise CommandError(str(error)) from error
        except OperationalError as error:
            raise CommandError(
                "Nothing was blanked: the database did not let it through. Somebody "
                f"may be saving a text just now; run it again. ({error})"
            ) from error
        for table, rows in tables.items():
            self.stdout.write(f"blanked {rows} in {table}")
        self.stdout.write(
            "Copies that are not evidence stay: discard drafts of this text in the "
            "admin, and let old backups run out."
        )
