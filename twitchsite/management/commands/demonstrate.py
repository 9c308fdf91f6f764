import json
from dataclasses import asdict
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from twitchsite import demonstration


class Command(BaseCommand):
    help = "Prepare the demonstration; prints its fresh passwords as JSON."

    def handle(self, *args: Any, **options: Any) -> None:
        if not settings.DEMO:
            raise CommandError(
                "This site is in production: invented people have no place in it."
            )
        logins = demonstration.prepare(self.stderr.write)
        self.stdout.write(json.dumps([asdict(login) for login in logins]))
