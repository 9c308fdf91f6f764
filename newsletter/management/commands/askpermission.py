from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from newsletter.models import ListImport
from newsletter.repermission import ask
from newsletter.subscribing import SignUpClosed

AT_ONCE = 1_000


class Command(BaseCommand):
    help = (
        "Ask people from an import, once and never again, whether we may write to "
        "them. Run it again for those who are left: a mail server trusts a sender more "
        "that begins with few."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--import",
            dest="number",
            type=int,
            required=True,
            metavar="NUMBER",
            help="as importsubscribers named it",
        )
        parser.add_argument(
            "--most",
            type=int,
            default=AT_ONCE,
            metavar="PEOPLE",
            help=f"ask so many now; {AT_ONCE:,} by default",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        brought_by = ListImport.objects.filter(pk=options["number"]).first()
        if brought_by is None:
            raise CommandError(f"There is no import {options['number']}.")
        try:
            asked = ask(brought_by, most=options["most"])
        except SignUpClosed as error:
            raise CommandError(
                "Nobody can subscribe before Terms and privacy notice are published, "
                "so nobody is asked."
            ) from error
        self.stdout.write(
            f"{asked.now:,} asked. {asked.not_now:,} not now: they got a confirmation "
            f"within a day. {asked.left:,} left to ask."
        )
