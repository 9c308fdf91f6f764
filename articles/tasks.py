from celery import shared_task

from articles import scheduling


@shared_task(name="articles.publish_due")
def publish_due() -> None:
    scheduling.publish_due()
