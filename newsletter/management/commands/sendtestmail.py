from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser

from mail import (
    NotAnAddress,
    Step,
    TipMail,
    canonical_address,
    send_test,
    why_held,
)
from newsletter.choosing import newest_fit
from newsletter.models import HealthTip
from newsletter.scheduling import mail_of

SPOKEN_TLS = {
    "none": "in the clear",
    "starttls": "STARTTLS",
    "tls": "TLS from the first byte",
}


class Command(BaseCommand):
    help = (
        "Check the mail set-up by sending one test mail, step by step. Exits with 1 "
        "at the first step that goes wrong, and says what to do. Never says a password."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("address", metavar="ADDRESS", help="whom to send it to")
        parser.add_argument(
            "--tip",
            metavar="SLUG",
            help="send the newest approved text of this tip, as subscribers get it",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            address = canonical_address(options["address"])
        except NotAnAddress as error:
            raise CommandError(f"That is no mail address: {error}") from error
        if held := why_held():
            raise CommandError(f"No mail leaves here: {held}")
        tip = _approved(options["tip"]) if options["tip"] else None
        server = settings.MAIL_SERVER
        tls = SPOKEN_TLS[server["tls"]]
        self.stdout.write(f"Mail server {server['host']}:{server['port']}, {tls}\n\n")
        for step in send_test(address, tip):
            self._tell(step)
            if not step.good:
                raise CommandError(f"The test ends at “{step.name}”. {step.remedy}")
        self.stdout.write(
            f"\nThe mail server took the test mail to {address}.\n"
            "Look into that mailbox, and into its spam folder. If it bounces, the site "
            "notes that."
        )

    def _tell(self, step: Step) -> None:
        mark = "ok" if step.good else "no"
        style = self.style.SUCCESS if step.good else self.style.ERROR
        self.stdout.write(f"  {style(mark)}  {step.name:<12} {step.said}")


def _approved(slug: str) -> TipMail:
    """The tip as it would be mailed now; not even a test is sent unsigned."""
    tip = HealthTip.objects.filter(slug=slug).first()
    if tip is None:
        raise CommandError(f"There is no tip {slug}. See Newsletter > Health tips.")
    found = newest_fit(tip.revisions.select_related("tip", "entry"))
    if found:
        return mail_of(*found)
    raise CommandError(
        f"No text of the tip {slug} may be mailed: none is approved and in date, with "
        "the articles it relies on."
    )
