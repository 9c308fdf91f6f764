import structlog
from celery import shared_task
from django.conf import settings

from mail import polling, sending, sweeping

log = structlog.get_logger(__name__)


@shared_task(name="mail.send_due")
def send_due() -> None:
    sending.send_due()


@shared_task(name="mail.sweep")
def sweep() -> None:
    sweeping.sweep()


@shared_task(name="mail.poll_bounces")
def poll_bounces() -> None:
    if settings.BOUNCE_MAILBOX is None:
        return
    try:
        polling.poll(settings.BOUNCE_MAILBOX)
    except polling.MailboxAway as error:
        # The next tick tries again; what lies there is not lost.
        log.warning("bounce mailbox away", error=str(error))
