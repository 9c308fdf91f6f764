from celery import shared_task

from ledger import sealing


@shared_task(name="ledger.seal")
def seal() -> None:
    sealing.seal()
