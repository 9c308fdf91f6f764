"""The Celery application: `celery -A twitchsite.celery worker`."""

import os
from pathlib import Path
from typing import Any

from celery import Celery
from celery.signals import setup_logging, worker_ready, worker_shutdown

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "twitchsite.settings")

app = Celery("twitchsite")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()


@setup_logging.connect
def keep_our_logs(**kwargs: Any) -> None:
    """Celery leaves logging alone once somebody answers this signal."""


def _ready_file(sender: Any) -> Path:
    """`name.ready` for the worker `name@host`."""
    from django.conf import settings

    name = sender.hostname.partition("@")[0]
    return Path(settings.DATA_DIR) / "run" / f"{name}.ready"


@worker_ready.connect
def say_ready(sender: Any, **kwargs: Any) -> None:
    """`up` calls the site ready only when its workers are."""
    mark = _ready_file(sender)
    if mark.parent.is_dir():
        mark.touch()


@worker_shutdown.connect
def say_gone(sender: Any, **kwargs: Any) -> None:
    _ready_file(sender).unlink(missing_ok=True)
