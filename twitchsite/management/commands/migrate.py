from typing import Any

from django.core.management.base import CommandError, CommandParser
from django.core.management.commands.migrate import Command as Migrate
from django.db import connections

from pages import public_version
from twitchsite.roles import OWNER, grant_application_role


class Command(Migrate):
    """Django's migrate as the tables' owner; then what holds for all tables alike."""

    def add_arguments(self, parser: CommandParser) -> None:
        super().add_arguments(parser)
        parser.set_defaults(database=OWNER)

    def handle(self, *args: Any, **options: Any) -> None:
        if OWNER not in connections.settings:
            raise CommandError(
                "MIGRATION_DATABASE_URL is not set: it names the role that owns the "
                "tables, as postgresql://owner:password@host/name."
            )
        super().handle(*args, **options)
        public_version.watch(options["database"])
        grant_application_role(options["database"])
