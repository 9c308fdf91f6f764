from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from articles import loading
from newsletter import composing
from twitchsite.demonstration import example_of


class Command(BaseCommand):
    help = (
        "Take the library in: its articles, policies and tips become revisions that "
        "await review. Safe to repeat: a changed file makes a new revision, a text "
        "that an editor wrote since stays. Nothing is published or sent."
    )

    def handle(self, *args: Any, **options: Any) -> None:
        fact = example_of if settings.DEMO else None
        try:
            articles = list(loading.load(operator_fact=fact, say=self.say))
            tips = list(composing.load(say=self.say))
        except ValueError as error:
            raise CommandError(
                f"{error}\nWhat was read before it is loaded. Mend the file and run "
                "this again."
            ) from error
        made = sum(was_made for _, was_made in [*articles, *tips])
        self.stdout.write(f"{made} new revisions. Nothing is published.")

    def say(self, line: str) -> None:
        self.stdout.write(line)
