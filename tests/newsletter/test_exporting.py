"""The list leaves as a table: whole, private, and without a formula."""

import csv
import io
import stat
from datetime import UTC, datetime
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from mail import Recipient
from newsletter import exporting
from newsletter.cells import cell
from newsletter.exporting import COLUMNS
from newsletter.models import Subscriber

Status = Subscriber.Status


def somebody(address: str, **details: object) -> Subscriber:
    recipient = Recipient.objects.create(address=address)
    return Subscriber.objects.create(recipient=recipient, **details)


def exported(*options: str) -> list[dict[str, str]]:
    out = io.StringIO()
    call_command("exportsubscribers", *options, stdout=out)
    return list(csv.DictReader(io.StringIO(out.getvalue(), newline="")))


def test_everybody_is_in_it_with_what_the_list_knows(db: None) -> None:
    at = datetime(2026, 11, 25, 9, tzinfo=UTC)
    somebody("rosa@example.com", status=Status.CONFIRMED, confirmed_at=at)
    somebody("tom@example.com", topics=["twitching"])

    rosa, tom = exported()

    assert list(rosa) == list(COLUMNS)
    assert rosa["address"] == "rosa@example.com"
    assert rosa["confirmed_at"] == "2026-11-25T09:00:00+00:00"
    assert (tom["status"], tom["confirmed_at"]) == ("unconfirmed", "")
    assert tom["may_be_mailed"] == "no"


def test_who_is_in_it_can_be_chosen(db: None) -> None:
    somebody("rosa@example.com", status=Status.CONFIRMED, confirmed_at=timezone.now())
    somebody("tom@example.com")

    assert [one["address"] for one in exported("--status", "confirmed")] == [
        "rosa@example.com"
    ]


def test_topics_are_about_health_and_come_only_when_asked_for(db: None) -> None:
    somebody("rosa@example.com", topics=["twitching", "eyes-and-face"])

    assert "topics" not in exported()[0]
    assert exported("--with-topics")[0]["topics"] == "twitching eyes-and-face"


@pytest.mark.parametrize("start", ["=", "+", "-", "@", "\t", "\r", "\n", "\0"])
def test_no_cell_is_a_formula(start: str) -> None:
    assert cell(f"{start}HYPERLINK(1)") == f"'{start}HYPERLINK(1)"
    assert cell(f"a{start}") == f"a{start}"


def test_an_address_can_look_like_a_formula(db: None) -> None:
    somebody("=cmd@example.com")

    assert exported()[0]["address"] == "'=cmd@example.com"


def test_a_file_is_its_owners_alone_and_never_replaces_another(
    db: None, tmp_path: Path
) -> None:
    somebody("rosa@example.com")
    path = tmp_path / "list.csv"

    call_command("exportsubscribers", path, stderr=io.StringIO())

    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    before = path.read_bytes()
    assert before.count(b"\n") == 2
    with pytest.raises(CommandError, match="File exists"):
        call_command("exportsubscribers", path)
    assert path.read_bytes() == before


def test_a_half_written_file_is_removed(
    db: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    somebody("rosa@example.com")
    monkeypatch.setitem(exporting.COLUMNS, "status", "nonsense")

    with pytest.raises(Exception, match="nonsense"):
        call_command("exportsubscribers", tmp_path / "list.csv")

    assert list(tmp_path.glob("*.csv")) == []


def test_a_cursor_of_the_servers_reads_it(db: None) -> None:
    somebody("rosa@example.com")

    with CaptureQueriesContext(connection) as asked:
        exported()

    (statement,) = (one["sql"] for one in asked if "newsletter_sub" in one["sql"])
    assert statement.startswith("DECLARE")
