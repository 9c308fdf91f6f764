"""`takebounce`: a mail server pipes in what came back."""

import io
import os
import subprocess
import sys

import pytest
from django.core.management import CommandError, call_command
from django.db import OperationalError

from mail import Recipient
from mail.management.commands import takebounce
from tests.mail.test_bounces import (
    sent,
    suppression,
)
from tests.mail.test_reports import returned
from tests.mail.test_sending import person


def pipe(monkeypatch: pytest.MonkeyPatch, raw: bytes, *args: str) -> str:
    said = io.StringIO()
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(raw)))
    call_command("takebounce", *args, stdout=said)
    return said.getvalue()


def test_a_mail_server_pipes_a_bounce_in(
    db: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    rosa = person("rosa")
    delivery = sent(rosa)
    raw = returned("postfix-unknown-user")

    said = pipe(monkeypatch, raw, "--to", f"bounces+{delivery.key.hex}@health.example")

    assert said == f"hard bounce 5.1.1: noted for delivery {delivery.pk}\n"
    assert suppression(rosa) == Recipient.Suppression.HARD_BOUNCE


def test_whatever_is_piped_in_is_one_line_without_an_address(
    db: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    said = [
        pipe(monkeypatch, raw)
        for raw in (
            b"",
            b"\xff" * 3_000_000,
            returned("postfix-unknown-user"),
            returned("reply-by-a-person"),
        )
    ]

    assert all(line.count("\n") == 1 and "@" not in line for line in said)
    assert said[2] == "hard bounce 5.1.1: ignored, nobody issued its key\n"


def test_the_mail_server_keeps_the_mail_while_the_database_is_away(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def away(*args: object) -> None:
        raise OperationalError("no address here: rosa@example.com")

    monkeypatch.setattr(takebounce, "take", away)

    with pytest.raises(CommandError) as raised:
        pipe(monkeypatch, b"x")

    assert raised.value.returncode == os.EX_TEMPFAIL
    assert "@" not in str(raised.value)


def test_the_process_itself_exits_with_75() -> None:
    where = {
        **os.environ,
        "DJANGO_SETTINGS_MODULE": "twitchsite.settings",
        "DATABASE_URL": "postgresql://nobody:x@127.0.0.1:1/nothing",
    }

    run = subprocess.run(
        [sys.executable, "manage.py", "takebounce"],
        env=where,
        input=returned("postfix-unknown-user"),
        capture_output=True,
    )

    assert run.returncode == 75, run.stderr
    assert b"Traceback" not in run.stderr
