"""What operators do to databases while tips are sent."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
from django.core.management import call_command
from django.db import connections
from psycopg import sql

from tests.chaos.trial import Mailing, State, Trial
from tests.mail import copies
from twitchsite.embedded.processes import Child
from twitchsite.up import SENDERS

STAGING = "staging"
# More than two of beat's ticks: what could leave would have left.
LOOSE_SECONDS = 12
# Of Valkey: hints of the copy reach nobody else.
OTHER_INDEX = 9


def cloned(trial: Trial) -> None:
    """A staging site starts on a backup from the middle, with the same mail server."""
    mailing = _half_sent(trial)
    _load(trial, _dump(trial))
    with _staging_site(trial) as sender:
        trial.until_settled(mailing)
        time.sleep(LOOSE_SECONDS)
        trial.expect(sender.is_running(), f"the copy's sender {sender.ending()}")
        held = "mail held" in sender.program.log.read_text()
        trial.expect(held, "the copy does not say that it is held")
    trial.expect_few_uncertain(0)


def restored(trial: Trial) -> None:
    """A backup from the middle is put back after the end, in the same place."""
    mailing = _half_sent(trial)
    dump = _dump(trial)
    trial.until_settled(mailing)
    _put_back(trial, dump)
    waiting = _waiting(mailing)
    trial.expect(waiting > 0, "nobody waits in the backup")
    ends = time.monotonic() + LOOSE_SECONDS
    while time.monotonic() < ends:
        trial.hurry()
        time.sleep(1)
    trial.expect(_waiting(mailing) == waiting, "something left of what had left before")
    call_command("adoptdatabase", "--drop", "--yes", verbosity=0)
    trial.until_settled(mailing)


def _half_sent(trial: Trial) -> Mailing:
    people = trial.size(1000, 100)
    trial.people(people)
    mailing = trial.mail(trial.slow)
    trial.until_taken(mailing, int(people * trial.random.uniform(0.2, 0.5)))
    return mailing


def _waiting(mailing: Mailing) -> int:
    return list(mailing.fates().values()).count(State.QUEUED)


def _dump(trial: Trial) -> Path:
    """What a nightly backup would be, while the site goes on."""
    path = trial.folder / "backup"
    owner = trial.site.services.owner_url()
    copies.run(copies.DUMP, f"--file={path}", owner)
    return path


def _load(trial: Trial, dump: Path) -> None:
    services = trial.site.services
    with psycopg.connect(services.superuser_url(), autocommit=True) as connection:
        connection.execute(
            sql.SQL("CREATE DATABASE {} OWNER twitchsite_owner").format(
                sql.Identifier(STAGING)
            )
        )
    copies.run(copies.RESTORE, f"--dbname={services.owner_url(STAGING)}", str(dump))


def _put_back(trial: Trial, dump: Path) -> None:
    trial.site.pause()
    connections.close_all()
    owner = trial.site.services.owner_url()
    clean = (*copies.RESTORE, "--clean", "--if-exists")
    copies.run(clean, f"--dbname={owner}", str(dump))
    trial.site.go_on()


@contextmanager
def _staging_site(trial: Trial) -> Iterator[Child]:
    """Its sender, and beat that asks it to send; everything else is the site's own."""
    changes = {
        "DATABASE_URL": trial.site.services.application_url(STAGING),
        "MIGRATION_DATABASE_URL": "",
        "REDIS_URL": trial.site.services.redis_url(OTHER_INDEX),
        "DATA_DIR": str(trial.folder),
    }
    sender = trial.site.child(STAGING, SENDERS["sender1"], changes=changes)
    beat = trial.site.beat(f"{STAGING}-beat", changes)
    try:
        sender.start()
        beat.start()
        yield sender
    finally:
        beat.stop()
        sender.stop()
