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


def _ready_file() -> Path:
    from django.conf import settings

    return Path(settings.DATA_DIR) / "run" / "worker.ready"


@worker_ready.connect
def say_ready(**kwargs: Any) -> None:
    """`up` calls the site ready only when the worker is."""
    if _ready_file().parent.is_dir():
        _ready_file().touch()


@worker_shutdown.connect
def say_gone(**kwargs: Any) -> None:
    _ready_file().unlink(missing_ok=True)
