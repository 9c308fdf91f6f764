from typing import Any

from django.core.management.base import BaseCommand

from mail import count_up_old
from newsletter.retention import let_go


class Command(BaseCommand):
    help = (
        "Let go of what is kept long enough, as beat does every day, and say how much "
        "it was. The RETAIN_ settings say how long."
    )

    def handle(self, *args: Any, **options: Any) -> None:
        gone = let_go()
        counted = count_up_old()
        for number, what in (
            (gone.unconfirmed, "people who never confirmed"),
            (gone.unsubscribed, "people who left long ago"),
            (gone.former_addresses, "addresses that people moved from, or never to"),
            (gone.requests, "sign-ups and link requests that nobody resolved"),
            (counted, "deliveries that are yearly counts now"),
        ):
            self.stdout.write(f"{number:>11,}  {what}")
