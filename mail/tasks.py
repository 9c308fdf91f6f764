from celery import shared_task

from mail import sending, sweeping


@shared_task(name="mail.send_due")
def send_due() -> None:
    sending.send_due()


@shared_task(name="mail.sweep")
def sweep() -> None:
    sweeping.sweep()
