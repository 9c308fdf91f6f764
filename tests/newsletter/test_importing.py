"""A list from elsewhere comes in: without proof of consent nobody is mailed."""

import csv
import io
import re
import stat
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.utils import timezone

from ledger import is_authentic
from ledger.verifying import verify
from mail import Delivery, KeptSuppression, Recipient, token
from newsletter import importing
from newsletter.consent import commitment_to
from newsletter.importfiles import UnfitFile, check
from newsletter.importing import Happened, take_in
from newsletter.models import (
    ConsentEvent,
    ImportedContext,
    ImportedEvidence,
    ListImport,
    Subscriber,
)
from newsletter.personal_data import download, forget
from newsletter.subscribing import confirm, unsubscribe
from tests.newsletter.test_subscribing import (
    ROSA,
    a_day_later,
    link,
    policies,
    subscribe,
)
from tests.racing import PowerCut, at_once, everything, power_cut

__all__ = ["policies"]

Status = Subscriber.Status
HEADING = "address,agreed_at,wording,terms,page,source\n"
PROOF = (
    f"{HEADING}{ROSA},2021-05-01T09:30:00+02:00,Yes to tips,Terms of 2020,"
    "https://old.example/join,export of May\n"
)
TWO = "address\nrosa@example.com\ntom@example.com\n"


def brought(text: str | bytes, **options: Any) -> dict[int, tuple[str, str]]:
    """What happened to each line, and why."""
    raw = text.encode() if isinstance(text, str) else text
    file = io.BytesIO(raw)
    return {
        one.line.number: (str(one.happened), one.why)
        for fates in take_in(file, check(file), **options)
        for one in fates
    }


def happened(text: str | bytes, **options: Any) -> Counter[str]:
    return Counter(word for word, _ in brought(text, **options).values())


def test_who_has_no_evidence_is_added_and_not_mailed(db: None) -> None:
    assert happened(TWO) == {Happened.ADDED: 2}

    rosa, tom = Subscriber.objects.order_by("pk")
    assert {rosa.status, tom.status} == {Status.UNCONFIRMED}
    assert not Recipient.objects.filter(may_receive=True).exists()
    assert not Subscriber.objects.eligible().exists()
    assert not Delivery.objects.exists()
    assert ListImport.objects.get().ended_at


def test_evidence_is_attested_and_mails_nobody_by_itself(db: None) -> None:
    brought(PROOF)

    (evidence,) = ImportedEvidence.objects.select_related("entry", "context")
    assert is_authentic(evidence)
    assert evidence.subscriber_key == Subscriber.objects.get().key
    assert (evidence.line, evidence.trusted) == (2, False)
    assert evidence.file_digest == ListImport.objects.get().file_digest
    assert evidence.agreed_at == datetime(2021, 5, 1, 7, 30, tzinfo=UTC)
    words = {
        name: getattr(evidence.context, name)
        for name in ("wording", "terms", "page", "source")
    }
    assert words["wording"] == "Yes to tips"
    assert evidence.context_commitment == commitment_to(evidence.context.salt, words)
    assert verify().is_whole
    assert not Subscriber.objects.eligible().exists()


def test_evidence_the_operator_vouches_for_confirms(db: None) -> None:
    assert brought(PROOF)[2] == ("added", importing.TO_BE_ASKED)

    assert happened(PROOF, trust_evidence=True) == {Happened.CONFIRMED: 1}

    assert Subscriber.objects.eligible().get().recipient.address == ROSA
    assert list(ImportedEvidence.objects.values_list("trusted", flat=True)) == [
        *(False, True)
    ]
    assert brought(PROOF, trust_evidence=True)[2] == (
        "kept as it was",
        "Is on the list.",
    )
    assert ImportedEvidence.objects.count() == 2


def test_evidence_without_time_or_words_is_no_proof(db: None) -> None:
    text = (
        f"{HEADING}a@example.com,2021-05-01,,,,\nb@example.com,,Yes,,,\n"
        "c@example.com,,,,,an export\n"
    )

    assert set(brought(text, trust_evidence=True).values()) == {
        ("added", importing.NO_PROOF)
    }

    assert not Subscriber.objects.eligible().exists()
    assert not ImportedEvidence.objects.filter(trusted=True).exists()


@pytest.mark.parametrize("trust", [False, True])
def test_twice_doubles_nothing(db: None, trust: bool) -> None:
    brought(PROOF + "tom@example.com\n", trust_evidence=trust)
    before = everything()

    brought(PROOF + "tom@example.com\n", trust_evidence=trust)

    assert everything() == before


def test_killed_half_way_and_run_again_it_is_complete(
    cloned_database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(importing, "PIECE", 2)
    people = "".join(f"p{n}@example.com,2021-05-01,Yes,,,\n" for n in range(7))
    ends: list[int] = []

    for writes in range(4, 40, 6):
        with pytest.raises(PowerCut), power_cut(writes):
            brought(HEADING + people)
        ends.append(Subscriber.objects.count())
        assert ImportedEvidence.objects.count() == ends[-1]
        assert not ListImport.objects.exclude(ended_at=None).exists()
        if ends[-1] == 6:
            break
    brought(HEADING + people)

    assert ends == sorted(ends)
    assert ends[0] < 7
    assert Subscriber.objects.count() == ImportedEvidence.objects.count() == 7
    assert ImportedContext.objects.count() == 7
    assert ListImport.objects.get().ended_at
    assert verify().is_whole


def test_two_at_once_add_each_person_once(cloned_database: str) -> None:
    people = "".join(f"p{n}@example.com,2021-05-01,Yes,,,\n" for n in range(200))

    ends = at_once(*[lambda: happened(HEADING + people, trust_evidence=True)] * 3)

    assert sum(one["confirmed"] for one in ends) == 200
    assert Subscriber.objects.count() == ImportedEvidence.objects.count() == 200


def test_whoever_left_bounced_or_was_blocked_stays_so(policies: None) -> None:
    subscribe()
    confirm(link())
    unsubscribe_rosa()
    for name, why in (("tom", "hard bounce"), ("ann", "complaint"), ("bo", "manual")):
        Recipient.objects.create(
            address=f"{name}@example.com",
            suppression=why,
            suppressed_at=timezone.now(),
        )
    before = everything()
    people = (ROSA, "tom@example.com", "ann@example.com", "bo@example.com")
    text = HEADING + "".join(f"{one},2021-05-01,Yes,,,\n" for one in people)

    found = brought(text, trust_evidence=True)

    assert found[2] == ("kept as it was", "Left the list.")
    assert [found[n][1] for n in (3, 4, 5)] == [
        *(
            "May not be written to: hard bounce.",
            "May not be written to: complaint.",
            "May not be written to: manual.",
        )
    ]
    after = everything()
    after["newsletter.ListImport"] = before["newsletter.ListImport"]
    assert after == before


def unsubscribe_rosa() -> None:
    assert unsubscribe(token("unsubscribe", Recipient.objects.get(address=ROSA).key))


def test_who_is_here_keeps_what_they_chose(policies: None) -> None:
    subscribe()
    Subscriber.objects.update(topics=["twitching"], frequency="monthly")
    before = Subscriber.objects.values().get()

    assert brought(PROOF, trust_evidence=True)[2] == (
        "kept as it was",
        "Has not confirmed yet.",
    )

    assert Subscriber.objects.values().get() == before
    assert not ImportedEvidence.objects.exists()


def test_who_left_and_was_erased_comes_back_by_the_box_alone(policies: None) -> None:
    subscribe()
    confirm(link())
    unsubscribe_rosa()
    forget(Subscriber.objects.get())

    assert brought(PROOF, trust_evidence=True)[2] == (
        "left out",
        "Left the list and was erased.",
    )
    assert not Recipient.objects.filter(address=ROSA).exists()

    a_day_later()
    subscribe()
    confirm(link())
    assert Subscriber.objects.eligible().get().recipient.address == ROSA


def test_a_person_who_is_erased_takes_the_files_words_along(db: None) -> None:
    brought(PROOF)

    forget(Subscriber.objects.get())

    assert not ImportedContext.objects.exists()
    assert ImportedEvidence.objects.count() == 1
    assert ConsentEvent.objects.get().act == "erased"
    assert verify().is_whole
    assert not KeptSuppression.objects.exists()


def test_the_download_has_the_evidence(db: None) -> None:
    brought(PROOF)

    (known,) = download(Subscriber.objects.get())["brought_from_another_list"]

    assert (known["words"], known["line"]) == ("Yes to tips", 2)


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("rosa@", "Enter an email address"),
        ("rosa@localhost", "Enter a full domain"),
        (f"{ROSA},yesterday", "agreed_at is no time"),
        (f"{ROSA},2221-05-01", "in the future"),
        (f"{ROSA},0001-01-01T00:00:00+09:00", "agreed_at is"),
        (f"{ROSA},,{'x' * 5_001}", "more than 5,000"),
        (f"{ROSA},,a\0b", "NUL"),
        (f"{ROSA},,,,,,", "more fields"),
    ],
)
def test_a_line_of_rubbish_is_refused_alone(db: None, line: str, why: str) -> None:
    found = brought(f"{HEADING}{line}\ntom@example.com\n")

    assert found[2][0] == "refused"
    assert why in found[2][1]
    assert ROSA not in found[2][1]
    assert found[3][0] == "added"


def test_two_lines_of_one_mailbox_are_one_person(db: None) -> None:
    found = brought("address\nRosa@EXAMPLE.com\n\n rosa@example.com \n")

    assert found == {
        2: ("added", importing.TO_BE_ASKED),
        4: ("kept as it was", importing.TWICE),
    }


def test_lines_are_numbered_as_an_editor_counts_them(db: None) -> None:
    text = f'{HEADING}a@example.com,,"two\nlines",,,\nrosa@,,,,,\n'

    assert list(brought(text)) == [2, 4]


@pytest.mark.parametrize("bom", [b"", b"\xef\xbb\xbf"])
def test_utf_8_comes_with_or_without_its_mark(db: None, bom: bytes) -> None:
    text = f"{HEADING}{ROSA},,Ja, Grüße,,\n".encode()

    assert happened(bom + text) == {Happened.ADDED: 1}


@pytest.mark.parametrize(
    ("raw", "said"),
    [
        (TWO.encode("utf-16"), "not UTF-8"),
        (f"{HEADING}{ROSA},,Grüße,,,\n".encode("latin-1"), "not UTF-8"),
        (b"", "empty"),
        (b"email\nrosa@example.com\n", "nobody knows here: email"),
        (b"address,name,x\n", "nobody knows here: name, x"),
        (b"address;page\n", "nobody knows here: address;page"),
        (b"rosa@example.com\ntom@example.com\n", "must name the columns"),
        (b"page\nx\n", "address is missing"),
        (b"address,address\n", "twice"),
        (b'address\n"rosa@example.com\n', "Line 2 is no CSV"),
        (b"address\n" + b"x" * 140_000, "Line 2 is no CSV"),
    ],
)
def test_an_unfit_file_is_refused_before_anything_is_changed(
    db: None, raw: bytes, said: str
) -> None:
    with pytest.raises(UnfitFile, match=said) as refusal:
        brought(raw)

    assert ROSA not in str(refusal.value)
    assert not ListImport.objects.exists()
    assert not Recipient.objects.exists()


def test_the_first_error_of_a_file_is_found_before_its_first_line(db: None) -> None:
    with pytest.raises(UnfitFile, match="not UTF-8"):
        brought(TWO.encode() + b"\xff\n")

    assert not Subscriber.objects.exists()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    found = tmp_path / "list.csv"
    found.write_text(TWO + "rosa@\n")
    return found


def test_the_report_names_lines_and_no_address(
    db: None, path: Path, tmp_path: Path
) -> None:
    report, out = tmp_path / "report.csv", io.StringIO()

    call_command("importsubscribers", path, "--report", report, stdout=out)

    rows = list(csv.DictReader(io.StringIO(report.read_text())))
    assert [(row["line"], row["happened"]) for row in rows] == [
        *(("2", "added"), ("3", "added"), ("4", "refused"))
    ]
    assert not {"rosa", "tom"} & set(re.findall(r"\w+", report.read_text()))
    assert stat.S_IMODE(report.stat().st_mode) == 0o600
    assert "2  added" in out.getvalue()
    assert f"Import {ListImport.objects.get().pk}." in out.getvalue()
    with pytest.raises(CommandError, match="File exists"):
        call_command("importsubscribers", path, "--report", report)


def test_the_report_can_name_addresses_without_formulas(
    db: None, path: Path, tmp_path: Path
) -> None:
    path.write_text("address\n=cmd@example.com\n")
    report = tmp_path / "report.csv"

    call_command(
        *("importsubscribers", path, "--report", report, "--with-addresses"),
        stdout=io.StringIO(),
    )

    assert report.read_text().endswith("'=cmd@example.com\n")


def test_a_list_comes_through_a_pipe(db: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", SimpleNamespace(buffer=io.BytesIO(TWO.encode())))

    call_command("importsubscribers", "-", stdout=io.StringIO())

    assert Subscriber.objects.count() == 2


def test_a_file_that_is_not_there_is_named(db: None) -> None:
    with pytest.raises(CommandError, match=r"nowhere\.csv: No such file"):
        call_command("importsubscribers", "nowhere.csv")


def test_the_command_says_what_is_wrong_with_a_file(db: None, path: Path) -> None:
    path.write_bytes(TWO.encode("utf-16"))

    with pytest.raises(CommandError, match="Save it as “CSV UTF-8”"):
        call_command("importsubscribers", path)
