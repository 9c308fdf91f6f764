"""Waking a worker. A hint that gets lost costs seconds, never a message."""

import structlog
from celery import current_app
from django.db import transaction
from kombu.exceptions import OperationalError

from mail.leaving_alone import VALKEY

log = structlog.get_logger(__name__)


def wake(task: str) -> None:
    """Hint, after commit, that `task` has something to do; never raises."""
    transaction.on_commit(lambda: _send(task))


def _send(task: str) -> None:
    if not VALKEY.may_try():
        return
    try:
        current_app.send_task(task, ignore_result=True, expires=60)
    except (OperationalError, OSError):
        # Redis is away: beat asks "what is due?" again soon.
        VALKEY.failed()
        log.warning("hint lost", task=task)
    else:
        VALKEY.worked()
