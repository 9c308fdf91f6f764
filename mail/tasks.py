from typing import Any

import structlog
from celery import shared_task
from celery.signals import worker_ready, worker_shutting_down
from django.conf import settings

from mail import guard, hints, polling, retention, sending, sweeping, tallying
from mail.queueing import SEND_DUE

log = structlog.get_logger(__name__)


@worker_shutting_down.connect
def end_after_the_window(**kwargs: Any) -> None:
    """Celery waits for its tasks; a million tips must not let a deploy wait."""
    sending.closing.set()


@worker_ready.connect
def go_on_at_once(**kwargs: Any) -> None:
    """What a deploy or a crash left waiting need not wait for beat's next tick."""
    hints.wake(SEND_DUE)


@shared_task(name=SEND_DUE)
def send_due() -> None:
    sending.send_due()


@shared_task(name="mail.sweep")
def sweep() -> None:
    sweeping.sweep()
    # What it freed need not wait for beat's next tick.
    hints.wake(SEND_DUE)


@shared_task(name="mail.count_up_old")
def count_up_old() -> None:
    retention.count_up_old()


@shared_task(name="mail.poll_bounces")
def poll_bounces() -> None:
    # What a copy of the database took from the mailbox, the site would never see.
    if settings.BOUNCE_MAILBOX is None or not guard.may_send():
        return
    try:
        polling.poll(settings.BOUNCE_MAILBOX)
    except polling.MailboxAway as error:
        # The next tick tries again; what lies there is not lost.
        log.warning("bounce mailbox away", error=str(error))


@shared_task(name="mail.forget_old_tallies")
def forget_old_tallies() -> None:
    tallying.forget_old_tallies()
