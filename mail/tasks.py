from typing import Any

import structlog
from celery import shared_task
from celery.signals import worker_shutting_down
from django.conf import settings

from mail import polling, sending, sweeping

log = structlog.get_logger(__name__)


@worker_shutting_down.connect
def end_after_the_window(**kwargs: Any) -> None:
    """Celery waits for its tasks; a million tips must not let a deploy wait."""
    sending.closing.set()


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
