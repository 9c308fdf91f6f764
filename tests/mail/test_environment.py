"""A database sends from one environment: the one that its record names."""

import io
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings as settings_now
from django.core.management import call_command
from django.db import connection
from pytest_django import DjangoAssertNumQueries, Settings

from mail import Batch, Delivery
from mail.claiming import claim
from mail.environment import look
from mail.guard import may_send
from mail.hosts import FILE, read_host, this_host
from mail.models import Environment
from mail.sending import send_due
from mail.tasks import poll_bounces
from tests.conftest import Mailbox
from tests.mail.test_overdue import confirmation
from tests.mail.test_sending import person, states, tip_for_everybody
from tests.racing import PowerCut, at_once

State = Delivery.State
ROOT = Path(__file__).resolve().parents[2]
ELSEWHERE = "https://staging.example"


def record() -> Environment:
    return Environment.objects.get()


@contextmanager
def another_host(settings: Settings, folder: Path) -> Iterator[None]:
    """The same site on another machine: everything but the id file is the same."""
    own = settings.DATA_DIR
    settings.DATA_DIR = folder
    try:
        yield
    finally:
        settings.DATA_DIR = own


def turn_back(by: timedelta = timedelta(hours=7)) -> None:
    """The record as it stands in a backup that is so much older."""
    Environment.objects.update(heartbeat_at=record().heartbeat_at - by)


def adoptdatabase(*options: str) -> str:
    said = io.StringIO()
    call_command("adoptdatabase", *options, stdout=said)
    return said.getvalue()


def type_in(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO(text))


# --- Beginning -----------------------------------------------------------------


def test_a_new_database_is_adopted_silently_by_whoever_comes_first(
    cloned_database: str, mailbox: Mailbox, settings: Settings
) -> None:
    confirmation(person("rosa"))

    send_due()

    assert mailbox.taken == ["rosa@example.com"]
    assert record().site_url == settings.SITE_URL == "https://health.example"
    assert record().database_name == cloned_database
    assert record().hosts == [this_host().key]


def test_workers_that_start_at_once_are_one_environment(
    cloned_database: str, own_data_dir: Path
) -> None:
    assert at_once(*[may_send] * 8) == [True] * 8

    assert record().hosts == [this_host().key]
    assert [path.name for path in own_data_dir.iterdir()] == [FILE]


def test_the_record_is_one_row(db: None) -> None:
    may_send()
    row = record()
    row.id = 2

    with pytest.raises(Exception, match="mail_environment_is_one_row"):
        row.save(force_insert=True)


def test_a_claim_asks_once(
    cloned_database: str, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    may_send()

    with django_assert_num_queries(1):
        may_send()


def test_the_application_s_role_may_ask_all_of_it(cloned_database: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT rolsuper FROM pg_roles WHERE rolname = current_user")
        assert cursor.fetchone() == (False,)

    assert look(None).here.system_identifier.isdecimal()


# --- Elsewhere -----------------------------------------------------------------


def test_another_site_url_sends_nothing_and_says_so_once(
    cloned_database: str,
    mailbox: Mailbox,
    settings: Settings,
    caplog: pytest.LogCaptureFixture,
) -> None:
    may_send()
    person("rosa")
    tip_for_everybody()
    confirmation(person("new"))
    settings.SITE_URL = ELSEWHERE

    ends = [send_due(), send_due(), send_due()]

    assert (ends, mailbox.taken) == ([0, 0, 0], [])
    assert set(states().values()) == {State.QUEUED}
    held = [one.msg for one in caplog.records if "mail held" in str(one.msg)]
    assert len(held) == 1
    assert "SITE_URL" in str(held[0])
    assert "adoptdatabase" in str(held[0])


def test_a_host_that_the_database_does_not_know_waits_and_the_others_go_on(
    cloned_database: str, mailbox: Mailbox, settings: Settings, tmp_path: Path
) -> None:
    may_send()
    confirmation(person("rosa"))

    with another_host(settings, tmp_path / "second"):
        assert (send_due(), mailbox.taken) == (0, [])
        adoptdatabase("--keep", "--yes")
        assert may_send()
    send_due()

    assert mailbox.taken == ["rosa@example.com"]
    assert len(record().hosts) == 2


def test_hosts_that_share_a_data_dir_are_one(
    cloned_database: str, own_data_dir: Path
) -> None:
    may_send()
    script = "import sys; from mail.guard import may_send; sys.exit(not may_send())"

    assert elsewhere(script, own_data_dir).returncode == 0


def elsewhere(script: str, folder: Path) -> "subprocess.CompletedProcess[str]":
    """Run `script` in a process of its own, on the database of this test."""
    at = connection.settings_dict
    host = str(at["HOST"]).replace("/", "%2F")
    url = f"postgresql://{at['USER']}:{at['PASSWORD']}@{host}/{at['NAME']}"
    start = (
        "import tests.settings as s, os; import django; "
        "from twitchsite.env import database; "
        "s.DATABASES['default'] = database(os.environ['HERE']); "
        "s.DATA_DIR = os.environ['FOLDER']; django.setup(); "
    )
    return subprocess.run(
        [sys.executable, "-c", start + script],
        cwd=ROOT,
        env={
            **os.environ,
            "DJANGO_SETTINGS_MODULE": "tests.settings",
            "HERE": url,
            "FOLDER": str(folder),
        },
        capture_output=True,
        text=True,
        check=False,
    )


def test_a_copy_takes_no_bounces_from_the_site_s_mailbox(
    cloned_database: str, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    may_send()
    settings.SITE_URL = ELSEWHERE
    settings.BOUNCE_MAILBOX = {"host": "localhost"}
    asked: list[Any] = []
    monkeypatch.setattr("mail.polling.poll", asked.append)

    poll_bounces()

    assert asked == []


def test_a_demonstration_goes_on_at_another_port(
    cloned_database: str, mailbox: Mailbox, settings: Settings
) -> None:
    settings.DEMO, settings.SITE_URL = True, "http://127.0.0.1:8000"
    may_send()
    confirmation(person("rosa"))
    settings.SITE_URL = "http://127.0.0.1:8001"

    send_due()

    assert mailbox.taken == ["rosa@example.com"]
    assert record().site_url == "http://127.0.0.1:8001"


def test_a_site_that_is_adopted_elsewhere_stops_at_its_next_claim(
    cloned_database: str, mailbox: Mailbox, settings: Settings
) -> None:
    may_send()
    confirmation(person("rosa"))
    own, settings.SITE_URL = settings.SITE_URL, ELSEWHERE
    adoptdatabase("--keep", "--yes")
    settings.SITE_URL = own

    assert (send_due(), mailbox.taken) == (0, [])


def test_a_worker_in_the_middle_of_its_run_claims_nothing_more(held: Batch) -> None:
    assert claim() == []


# --- The heartbeat -------------------------------------------------------------


def test_older_data_in_the_same_place_send_nothing(
    cloned_database: str, mailbox: Mailbox
) -> None:
    may_send()
    turn_back()
    confirmation(person("rosa"))

    assert (send_due(), mailbox.taken) == (0, [])
    assert [one.what for one in look(this_host()).differences] == ["data"]


def test_a_host_that_remembers_less_stops_as_well(
    cloned_database: str, settings: Settings, tmp_path: Path
) -> None:
    """It was away while the others went on, and is the first one back."""
    may_send()
    with another_host(settings, tmp_path / "away"):
        adoptdatabase("--yes")
    time.sleep(1.1)
    may_send()
    turn_back(timedelta(seconds=0.5))

    assert not may_send()

    with another_host(settings, tmp_path / "away"):
        assert not may_send()
        adoptdatabase("--yes")
        assert may_send()
    assert may_send(), "one command releases all hosts"


def test_database_and_file_keep_the_newest_heartbeat(cloned_database: str) -> None:
    may_send()
    first = record().heartbeat_at
    time.sleep(1.1)

    may_send()

    host = read_host()
    assert host is not None
    assert host.heartbeat_at == record().heartbeat_at > first


def this_file() -> Path:
    return Path(settings_now.DATA_DIR) / FILE


def test_a_clock_that_is_put_back_stops_nothing(cloned_database: str) -> None:
    may_send()
    ahead = record().heartbeat_at + timedelta(hours=1)
    Environment.objects.update(heartbeat_at=ahead)

    assert [may_send(), may_send()] == [True, True]
    assert record().heartbeat_at > ahead


def test_a_kill_between_the_two_writes_holds_nothing(
    cloned_database: str, own_data_dir: Path
) -> None:
    may_send()
    kept = this_host()
    script = (
        "import mail.guard as g, os, signal, time; time.sleep(1.1); "
        "g.remember = lambda host: os.kill(os.getpid(), signal.SIGKILL); g.may_send()"
    )

    assert elsewhere(script, own_data_dir).returncode == -signal.SIGKILL

    assert this_host() == kept, "the file is behind"
    assert kept.heartbeat_at is not None
    assert record().heartbeat_at > kept.heartbeat_at
    assert may_send()
    assert this_host().heartbeat_at == record().heartbeat_at


def test_a_kill_while_the_file_is_written_leaves_the_old_one(
    cloned_database: str, own_data_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    may_send()
    kept = this_host()
    turn_back(timedelta(seconds=-5))

    def die(descriptor: int) -> None:
        raise PowerCut

    with monkeypatch.context() as power:
        power.setattr("os.fsync", die)
        with pytest.raises(PowerCut):
            may_send()

    assert this_host() == kept
    assert may_send()
    assert [path.name for path in own_data_dir.iterdir()] == [FILE]


def test_a_file_that_can_t_be_written_holds_nothing(
    cloned_database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    may_send()
    turn_back(timedelta(seconds=-5))

    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)

    assert may_send()


@pytest.mark.parametrize(
    "rubbish",
    ["", "{", "[]", '"x"', "{}", '{"host": 1}', '{"host": "x", "database": ""}'],
)
def test_a_damaged_file_holds_everything_until_a_person_looks(
    cloned_database: str, own_data_dir: Path, rubbish: str
) -> None:
    may_send()
    this_file().write_text(rubbish)

    assert not may_send()
    said = adoptdatabase("--yes")

    assert "is damaged; it gets a new one" in said
    assert may_send()


def test_a_folder_that_can_t_be_made_is_said(
    db: None, settings: Settings, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "file").write_text("in the way")
    settings.DATA_DIR = tmp_path / "file" / "var"

    assert not may_send()
    assert "can't be" in caplog.text


def test_one_folder_used_for_two_databases_holds_neither(
    cloned_database: str, own_data_dir: Path
) -> None:
    """What a host remembers of one database says nothing about another."""
    may_send()
    kept = json.loads(this_file().read_text())
    other = {**kept, "database": "1/1", "heartbeat_at": "2999-01-01T00:00:00+00:00"}
    this_file().write_text(json.dumps(other))

    assert may_send()


def test_a_backup_from_before_the_first_start_is_older_too(
    cloned_database: str,
) -> None:
    may_send()
    Environment.objects.all().delete()
    assert may_send(), "an empty database is simply new"

    confirmation(person("rosa"))
    Environment.objects.all().delete()

    assert not may_send()


@pytest.fixture
def held(cloned_database: str, settings: Settings) -> Batch:
    """A copy with a tip for two and a confirmation, which wait."""
    may_send()
    person("rosa")
    person("ruth")
    batch = tip_for_everybody()
    confirmation(person("new"))
    settings.SITE_URL = ELSEWHERE
    return batch
