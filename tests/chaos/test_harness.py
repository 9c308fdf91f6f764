"""The witness can be believed: the harness sees what it is there to see."""

import smtplib
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from tests.chaos.__main__ import asked_for, main
from tests.chaos.faults import Fault, Plan, Step
from tests.chaos.journal import Entry, Journal, read
from tests.chaos.result import Result
from tests.chaos.scenarios import SCENARIOS
from tests.chaos.site import ROOT
from tests.chaos.tally import count

LETTER = "Message-ID: <1@health.example>\r\n\r\nRest.\r\n"
ROSA, SENDER = "rosa@example.com", "bounces+1@health.example"


def entry(recipient: str, *, accepted: bool = True) -> Entry:
    return Entry(2.0, 1.0, "<1@health.example>", SENDER, recipient, accepted)


@contextmanager
def serving(folder: Path, plan: Plan) -> Iterator[int]:
    """A sink that behaves as planned; its port."""
    plan.write(folder / "plan")
    with socket.create_server(("127.0.0.1", 0)) as listening:
        words = (str(listening.fileno()), str(folder / "plan"), str(folder / "journal"))
        process = subprocess.Popen(
            [sys.executable, "-m", "tests.chaos.sink", *words],
            cwd=ROOT,
            pass_fds=[listening.fileno()],
        )
        try:
            yield listening.getsockname()[1]
        finally:
            process.terminate()
            process.wait()


def send(port: int) -> None:
    with smtplib.SMTP("127.0.0.1", port, timeout=10) as server:
        server.sendmail(SENDER, ROSA, LETTER)


def test_whom_the_server_took_nothing_for_is_lost() -> None:
    fates = {"a": "accepted", "b": "accepted", "c": "queued", "d": "uncertain"}

    tally = count("abcd", [entry("a"), entry("b", accepted=False)], fates)

    assert (tally.eligible, tally.accepted, tally.lost) == (4, 1, ("b", "c"))


def test_who_is_refused_is_lost_unless_it_was_to_be_so() -> None:
    fates = {"a": "refused", "b": "refused", "c": "dropped"}

    assert count("abc", [], fates, failing="b").lost == ("a", "c")


def test_who_has_left_is_not_lost() -> None:
    assert count("ab", [entry("a")], {"b": "queued"}, unsubscribed="b").lost == ()


def test_every_message_but_the_first_is_one_too_many() -> None:
    journal = [entry("a"), entry("a"), entry("a"), entry("b"), entry("stranger")]

    assert count("ab", journal, {}).twice == 2


def test_a_line_that_a_crash_cut_off_is_no_message(tmp_path: Path) -> None:
    path = tmp_path / "journal"
    Journal(path).append(entry("a"))
    with path.open("a") as file:
        file.write('{"at": 2.0, "mail_')

    assert read(path) == [entry("a")]


def test_what_is_taken_stands_in_the_journal(tmp_path: Path) -> None:
    with serving(tmp_path, Plan()) as port:
        send(port)
        (one,) = read(tmp_path / "journal")

    assert (one.recipient, one.sender, one.accepted) == (ROSA, SENDER, True)
    assert one.message_id == "<1@health.example>"
    assert one.mail_at <= one.at


@pytest.mark.parametrize(
    ("fault", "taken"),
    [
        (Fault(Step.MAIL), []),
        (Fault(Step.RCPT, "550 5.1.1 Unknown"), []),
        (Fault(Step.DATA, "451 4.3.0 Later"), []),
        (Fault(Step.DOT, "421 4.3.2 Busy"), [False]),
        (Fault(Step.TAKEN), [True]),
    ],
    ids=str,
)
def test_a_fault_strikes_once_and_the_journal_tells_the_truth(
    tmp_path: Path, fault: Fault, taken: list[bool]
) -> None:
    with serving(tmp_path, Plan(messages={SENDER: fault})) as port:
        with pytest.raises((smtplib.SMTPException, OSError)):
            send(port)
        assert [one.accepted for one in read(tmp_path / "journal")] == taken
        send(port)

    assert [one.accepted for one in read(tmp_path / "journal")] == [*taken, True]


def test_connections_are_struck_as_often_as_planned(tmp_path: Path) -> None:
    fault = Fault(Step.CONNECT, "554 5.3.2 Closed", hangs_up=True, times=2)

    with serving(tmp_path, Plan(connections=fault)) as port:
        for _ in range(2):
            with pytest.raises(smtplib.SMTPConnectError):
                send(port)
        send(port)


def test_a_server_that_drips_is_slow(tmp_path: Path) -> None:
    fault = Fault(Step.TAKEN, "250 2.0.0 Taken", drip_seconds=30)

    with (
        serving(tmp_path, Plan(messages={SENDER: fault})) as port,
        pytest.raises(smtplib.SMTPServerDisconnected),
        smtplib.SMTP("127.0.0.1", port, timeout=1) as server,
    ):
        server.sendmail(SENDER, ROSA, LETTER)


@pytest.mark.parametrize(
    ("changes", "passed"),
    [
        ({}, True),
        ({"lost": 1}, False),
        ({"twice": 1}, False),
        ({"uncertain": 4}, True),
        ({"complaints": ["the ledger is not whole any more"]}, False),
    ],
)
def test_a_scenario_passes_when_nobody_was_hurt(
    changes: dict[str, object], passed: bool
) -> None:
    result = Result("S1", 1, 60.0, **changes)  # type: ignore[arg-type]

    assert result.passed is passed


def test_all_is_played_unless_somebody_chooses() -> None:
    assert asked_for([]).scenarios == list(SCENARIOS)
    assert asked_for(["--scenarios", "S1 S3"]).scenarios == ["S1", "S3"]
    assert 0 < len(asked_for(["--short"]).scenarios) < len(SCENARIOS)


def test_a_scenario_nobody_knows_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with suppress(SystemExit):
        main(["--scenarios", "S99"])

    assert "S99 is none of S1, S2" in capsys.readouterr().err


def test_every_scenario_can_be_told_apart_and_played() -> None:
    titles = {one.title for one in SCENARIOS.values()}

    assert len(titles) == len(SCENARIOS)
    for one in SCENARIOS.values():
        module, _, name = one.function.partition(".")
        source = (ROOT / "tests/chaos/scenarios" / f"{module}.py").read_text()
        assert f"\ndef {name}(trial: Trial) -> None:" in source
