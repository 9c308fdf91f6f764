"""What a person does with a database that is held, and where it is said."""

import io
from datetime import timedelta
from pathlib import Path

import pytest
from django.core import checks
from django.core.management import CommandError, call_command
from django.db import connection
from django.test import Client
from pytest_django import Settings

from mail import Batch, Delivery
from mail.adopting import AdoptedMeanwhile, adopt
from mail.environment import look
from mail.guard import may_send
from mail.hosts import this_host
from mail.overdue import overdue_from
from mail.sending import send_due
from tests.conftest import Mailbox
from tests.mail.test_environment import (
    State,
    adoptdatabase,
    held,
    record,
    type_in,
)
from tests.mail.test_sending import states
from tests.racing import PowerCut, at_once, power_cut

__all__ = ["held"]


def test_the_command_shows_what_differs_and_what_waits(
    held: Batch, monkeypatch: pytest.MonkeyPatch, mailbox: Mailbox
) -> None:
    type_in(monkeypatch, "no\n")
    said = io.StringIO()

    with pytest.raises(CommandError, match=r"Nothing was changed\."):
        call_command("adoptdatabase", "--keep", stdout=said)

    shown = " ".join(said.getvalue().split())
    assert "SITE_URL https://health.example https://staging.example" in shown
    assert "1 confirmation" in shown
    assert "2 tip tip (running)" in shown
    assert (send_due(), mailbox.taken) == (0, [])


def test_what_waits_is_sent_only_if_the_person_says_so(
    held: Batch, mailbox: Mailbox
) -> None:
    with pytest.raises(CommandError, match="--keep sends it, --drop calls it back"):
        adoptdatabase("--yes")

    assert (send_due(), mailbox.taken) == (0, [])


def test_kept_it_goes_out(
    held: Batch,
    mailbox: Mailbox,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    type_in(monkeypatch, f"{record().database_name}\n")

    assert "sends from here now" in adoptdatabase("--keep")
    send_due()

    assert sorted(mailbox.taken) == [
        "new@example.com",
        "rosa@example.com",
        "ruth@example.com",
    ]


def test_dropped_it_never_goes_out_and_says_why(held: Batch, mailbox: Mailbox) -> None:
    assert "Called back, never to be sent: 3." in adoptdatabase("--drop", "--yes")

    send_due()

    assert mailbox.taken == []
    assert set(states().values()) == {State.DROPPED}
    reasons = set(Delivery.objects.values_list("reason", flat=True))
    assert reasons == {"called back when the database was adopted"}
    held.refresh_from_db()
    assert held.state == Batch.State.CANCELLED


def test_kept_but_overdue_it_waits_for_a_person_still(
    held: Batch, mailbox: Mailbox
) -> None:
    earlier = held.created_at - timedelta(hours=2)
    held.deliveries.update(dated_at=earlier)
    Batch.objects.update(overdue_at=overdue_from(earlier))
    adoptdatabase("--keep", "--yes")

    send_due()

    assert mailbox.taken == ["new@example.com"]
    held.refresh_from_db()
    assert held.state == Batch.State.PAUSED


@pytest.mark.parametrize("typed", ["", "\n", "yes\n", "TWITCHSITE\n"])
def test_nothing_but_the_database_s_name_adopts_it(
    held: Batch, monkeypatch: pytest.MonkeyPatch, typed: str
) -> None:
    type_in(monkeypatch, typed)
    before = record().adopted_at

    with pytest.raises(CommandError, match=r"Nothing was changed\."):
        adoptdatabase("--keep")

    assert record().adopted_at == before


def test_of_two_who_adopt_at_once_one_does(held: Batch) -> None:
    found = look(this_host())

    ends = at_once(*[lambda: adopt(found, drop=True)] * 2)

    assert sorted(map(str, ends)) == ["", "3"]
    assert sum(isinstance(end, AdoptedMeanwhile) for end in ends) == 1


def test_of_two_who_adopt_a_database_without_a_record_one_does(
    cloned_database: str,
) -> None:
    found = look(this_host())

    ends = at_once(*[lambda: adopt(found)] * 2)

    assert sum(isinstance(end, AdoptedMeanwhile) for end in ends) == 1
    assert record().hosts == [this_host().key]


def test_a_power_cut_while_adopting_leaves_it_held(held: Batch) -> None:
    before = record().adopted_at
    for after in range(3):
        with power_cut(after), pytest.raises(PowerCut):
            adopt(look(this_host()), drop=True)
        connection.close()

    assert record().adopted_at == before
    assert not may_send()
    assert set(states().values()) == {State.QUEUED}


def test_adopting_what_is_its_own_does_nothing(cloned_database: str) -> None:
    may_send()
    before = record().adopted_at

    assert "Nothing to do" in adoptdatabase("--drop")
    assert record().adopted_at == before


def test_a_database_that_was_never_migrated_is_said_kindly(db: None) -> None:
    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL search_path = pg_temp")

    with pytest.raises(CommandError, match="has it been migrated"):
        adoptdatabase()


# --- Where it is said ----------------------------------------------------------


def asked(path: str) -> tuple[int, dict[str, str]]:
    client = Client(headers={"X-Forwarded-Proto": "https"})
    answer = client.get(path)
    return answer.status_code, answer.json()


@pytest.fixture
def migrated(settings: Settings, tmp_path: Path) -> None:
    # Static files were not collected; their middleware asks for the folder.
    settings.STATIC_ROOT = tmp_path


def test_readyz_says_that_mail_is_held_and_stays_ready(
    held: Batch, migrated: None
) -> None:
    status, found = asked("/readyz")

    assert status == 200
    assert found["mail"] == (
        "held, not as the database recorded it: SITE_URL; "
        "manage.py adoptdatabase says more"
    )


def test_readyz_says_ok_where_mail_leaves(cloned_database: str, migrated: None) -> None:
    may_send()

    assert asked("/readyz")[1]["mail"] == "ok"


def test_asking_makes_no_id_file(
    cloned_database: str, migrated: None, own_data_dir: Path
) -> None:
    """A host that only serves pages sends nothing and needs none."""
    asked("/readyz")

    assert not own_data_dir.exists()


def test_the_checks_warn_with_the_remedy(held: Batch) -> None:
    found = checks.run_checks(databases=["default"])

    (warning,) = [one for one in found if one.id == "mail.W001"]
    assert "SITE_URL" in warning.msg
    assert "adoptdatabase" in str(warning.hint)


def test_the_checks_are_content_where_mail_leaves(cloned_database: str) -> None:
    may_send()

    found = checks.run_checks(databases=["default"])

    assert "mail.W001" not in [one.id for one in found]
