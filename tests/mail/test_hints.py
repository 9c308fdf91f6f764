from typing import Any

import pytest
from celery import current_app
from celery.signals import worker_ready
from kombu.exceptions import OperationalError
from pytest_django import DjangoCaptureOnCommitCallbacks

from mail import tasks, wake


def test_hints_go_where_the_worker_listens() -> None:
    assert current_app.main == "twitchsite"
    assert current_app.conf.broker_url.startswith("redis")


def test_a_hint_waits_for_the_commit_and_never_raises(
    db: None,
    monkeypatch: pytest.MonkeyPatch,
    django_capture_on_commit_callbacks: DjangoCaptureOnCommitCallbacks,
) -> None:
    sent: list[str] = []

    def away(task: str, **options: Any) -> None:
        sent.append(task)
        raise OperationalError("Redis is away")

    monkeypatch.setattr(current_app, "send_task", away)

    with django_capture_on_commit_callbacks(execute=True):
        wake("mail.send_due")
        assert sent == []

    assert sent == ["mail.send_due"]


class Consumer:
    """Celery's, as far as its signals look."""

    hostname = "sender1@health"


def test_a_worker_that_starts_goes_on_at_once(
    db: None,
    monkeypatch: pytest.MonkeyPatch,
    django_capture_on_commit_callbacks: DjangoCaptureOnCommitCallbacks,
) -> None:
    sent: list[str] = []
    monkeypatch.setattr(current_app, "send_task", lambda task, **_: sent.append(task))
    # As a worker does before it is ready.
    current_app.loader.import_default_modules()

    with django_capture_on_commit_callbacks(execute=True):
        worker_ready.send(sender=Consumer())

    assert sent == ["mail.send_due"]


def test_what_the_sweep_frees_goes_on_at_once(
    db: None,
    monkeypatch: pytest.MonkeyPatch,
    django_capture_on_commit_callbacks: DjangoCaptureOnCommitCallbacks,
) -> None:
    sent: list[str] = []
    monkeypatch.setattr(current_app, "send_task", lambda task, **_: sent.append(task))

    with django_capture_on_commit_callbacks(execute=True):
        tasks.sweep()

    assert sent == ["mail.send_due"]
