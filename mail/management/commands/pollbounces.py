from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from mail.polling import MailboxAway, poll


class Command(BaseCommand):
    help = (
        "Take the mails that came back to the mailbox BOUNCE_IMAP_URL, as beat does "
        "every minute."
    )

    def handle(self, *args: Any, **options: Any) -> None:
        if settings.BOUNCE_MAILBOX is None:
            raise CommandError(
                "BOUNCE_IMAP_URL is not set. Write imaps://user:password@host/INBOX."
            )
        try:
            taken = poll(settings.BOUNCE_MAILBOX)
        except MailboxAway as error:
            raise CommandError(f"The mailbox is away: {error}") from error
        self.stdout.write(f"took {taken} mails")
