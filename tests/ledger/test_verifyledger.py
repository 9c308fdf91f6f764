"""`verifyledger`: what the operator reads, and what a script sees."""

# Names of tables and columns come from the models, never from a person.

import os
import subprocess
import sys
from datetime import timedelta
from threading import Event, Thread

import psycopg
import pytest
from django.core.management import CommandError, call_command
from django.db import connections
from django.utils import timezone

from ledger import Entry, record
from ledger import verifying as verifier
from ledger.management.commands import verifyledger
from ledger.sealing import seal
from ledger.verifying import verify
from review import SignOff
from tests.articles.signed_page import open_site
from tests.conftest import Servers
from tests.ledger.test_verifying import (
    evidence,
    filled,
    newest,
    sentences,
)
from tests.tampering import tamper

__all__ = ["evidence", "filled"]


def test_the_command_says_in_one_line_what_is_wrong(evidence: None) -> None:
    row = newest(SignOff)
    tamper("UPDATE review_signoff SET signer_name = 'Mallory' WHERE id = %s", row.pk)

    with pytest.raises(CommandError) as told:
        call_command("verifyledger")

    assert told.value.returncode == 1
    assert str(told.value) == (
        "The ledger is NOT whole.\n"
        f"  entry {row.entry_id}: row {row.pk} of review_signoff was changed"
    )


def test_the_command_counts_what_it_does_not_list(evidence: None) -> None:
    tamper("UPDATE review_signoff SET signer_name = 'Mallory'")
    faults = SignOff.objects.count()

    with pytest.raises(CommandError, match=f"and {faults - 1} more: run it with --all"):
        call_command("verifyledger")
    with pytest.raises(CommandError) as told:
        call_command("verifyledger", all=True)
    assert str(told.value).count("was changed") == faults


def test_the_command_tells_how_far_it_is(
    evidence: None,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(verifyledger, "SECONDS_BETWEEN_LINES", 0.0)
    monkeypatch.setattr(verifier, "AT_ONCE", 5)

    call_command("verifyledger")

    total = Entry.objects.count()
    lines = capsys.readouterr().err.splitlines()
    assert lines[0] == f"looked at 5 of {total} entries"
    assert lines[-1] == f"looked at {total} of {total} entries"


def test_the_command_exits_with_1_and_no_traceback(
    cluster: Servers, cloned_database: str
) -> None:
    picture = open_site().live.entry_id
    seal()
    run = [sys.executable, "manage.py", "verifyledger"]
    where = {
        **os.environ,
        "DJANGO_SETTINGS_MODULE": "twitchsite.settings",
        "DATABASE_URL": cluster.application_url(cloned_database),
        "REDIS_URL": cluster.redis_url(),
    }
    whole = subprocess.run(run, env=where, capture_output=True, text=True)
    with psycopg.connect(cluster.superuser_url(cloned_database)) as raw:
        raw.execute("ALTER TABLE articles_revision DISABLE TRIGGER ALL")
        raw.execute("UPDATE articles_revision SET note = 'forged'")
        raw.execute("ALTER TABLE articles_revision ENABLE TRIGGER ALL")

    broken = subprocess.run(run, env=where, capture_output=True, text=True)

    assert whole.returncode == 0, whole.stderr
    assert "The ledger is whole" in whole.stdout
    assert broken.returncode == 1
    assert f"entry {picture}: row 1 of articles_revision was changed" in broken.stderr
    assert "Traceback" not in broken.stderr


def test_it_verifies_while_others_write_and_seal(
    cloned_database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    open_site()
    monkeypatch.setattr(verifier, "AT_ONCE", 3)
    stop, written = Event(), list[int]()

    def write() -> None:
        while not stop.is_set():
            written.append(record("test", {"number": len(written)}).pk)
            seal()
        connections.close_all()

    writer = Thread(target=write)
    writer.start()
    try:
        found = []
        until = timezone.now() + timedelta(seconds=1.5)
        while timezone.now() < until or len(written) < 20:
            found.append(verify())
    finally:
        stop.set()
        writer.join()

    assert all(one.is_whole for one in found), sentences(found[-1])
    assert found[-1].entries > found[0].entries
