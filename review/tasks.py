from celery import shared_task

from review import reminding


@shared_task(name="review.remind")
def remind() -> None:
    reminding.remind()
