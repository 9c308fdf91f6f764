from typing import Any

import pytest
from celery import current_app
from celery.signals import task_prerun, worker_ready
from kombu.exceptions import OperationalError
from pytest_django import DjangoCaptureOnCommitCallbacks, Settings

from mail import tasks, wake
from mail.valkey import VALKEY, valkey_client

Commits = DjangoCaptureOnCommitCallbacks
HINTS = ("newsletter.resolve_sign_ups", "mail.send_due")


def test_hints_go_where_the_worker_listens() -> None:
    assert current_app.main == "twitchsite"
    assert current_app.conf.broker_url.startswith("redis")


def test_a_hint_waits_for_the_commit_and_never_raises(
    db: None,
    monkeypatch: pytest.MonkeyPatch,
    django_capture_on_commit_callbacks: Commits,
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


@pytest.fixture
def sent(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    sent: list[str] = []
    monkeypatch.setattr(current_app, "send_task", lambda task, **_: sent.append(task))
    return sent


def test_many_hints_are_one_until_a_worker_begins(
    db: None, sent: list[str], django_capture_on_commit_callbacks: Commits
) -> None:
    for _ in range(3):
        with django_capture_on_commit_callbacks(execute=True):
            for hint in HINTS:
                wake(hint)
    assert sent == [*HINTS]

    task_prerun.send(sender=tasks.send_due, task=tasks.send_due)
    with django_capture_on_commit_callbacks(execute=True):
        for hint in HINTS:
            wake(hint)

    assert sent == [*HINTS, "mail.send_due"]


def test_a_hint_lost_on_its_way_keeps_others_back_for_seconds_only(
    db: None, sent: list[str], django_capture_on_commit_callbacks: Commits
) -> None:
    with django_capture_on_commit_callbacks(execute=True):
        wake("mail.send_due")

    left = valkey_client().pttl("twitchsite:hint:mail.send_due")

    assert 0 < left <= 2000


def test_a_hint_that_could_not_be_sent_leaves_valkey_alone(
    db: None,
    settings: Settings,
    sent: list[str],
    django_capture_on_commit_callbacks: Commits,
) -> None:
    settings.REDIS_URL = "redis://127.0.0.1:1/0"

    with django_capture_on_commit_callbacks(execute=True):
        wake("mail.send_due")

    assert sent == []
    assert not VALKEY.may_try()


class Consumer:
    """Celery's, as far as its signals look."""

    hostname = "sender1@health"


def test_a_worker_that_starts_goes_on_at_once(
    db: None,
    sent: list[str],
    django_capture_on_commit_callbacks: Commits,
) -> None:
    # As a worker does before it is ready.
    current_app.loader.import_default_modules()

    with django_capture_on_commit_callbacks(execute=True):
        worker_ready.send(sender=Consumer())

    assert sent == ["mail.send_due"]


def test_what_the_sweep_frees_goes_on_at_once(
    db: None,
    sent: list[str],
    django_capture_on_commit_callbacks: Commits,
) -> None:

    with django_capture_on_commit_callbacks(execute=True):
        tasks.sweep()

    assert sent == ["mail.send_due"]
