"""Waking a worker. A hint that gets lost costs seconds, never a message."""

from typing import Any

import redis
import structlog
from celery import current_app
from celery.signals import task_prerun
from django.db import transaction
from kombu.exceptions import OperationalError

from mail.valkey import VALKEY, valkey_client

log = structlog.get_logger(__name__)

# A hint that was lost on its way keeps the next ones back no longer than this.
UNDER_WAY_SECONDS = 2
AWAY = (OperationalError, redis.RedisError, OSError)


def wake(task: str) -> None:
    """Hint, after commit, that `task` has something to do; never raises.

    Many hints at once are one: whoever begins that task afterwards sees what all of
    them committed.
    """
    transaction.on_commit(lambda: _send(task))


def _send(task: str) -> None:
    if not VALKEY.may_try():
        return
    try:
        if valkey_client().set(_under_way(task), 1, nx=True, ex=UNDER_WAY_SECONDS):
            current_app.send_task(task, ignore_result=True, expires=60)
    except AWAY:
        # Redis is away: beat asks "what is due?" again soon.
        VALKEY.failed()
        log.warning("hint lost", task=task)
    else:
        VALKEY.worked()


@task_prerun.connect
def _begins(task: Any, **kwargs: Any) -> None:
    """What is committed from now on, this run may miss: hint again."""
    try:
        valkey_client().delete(_under_way(task.name))
    except AWAY:
        # It ends by itself.
        VALKEY.failed()


def _under_way(task: str) -> str:
    return f"twitchsite:hint:{task}"
