"""What is left after a SIGKILL is recognised, ended, and never mistaken."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest

from tests.embedded.test_servers import keep, kept, quarters_of
from twitchsite import embedded
from twitchsite.embedded.processes import Child, Program, end_all_left

CHECKOUT = Path(__file__).resolve().parents[2]
PATIENCE_SECONDS = 20


@contextmanager
def supervisor(folder: Path, area: Path) -> Iterator[dict[str, int]]:
    """The servers' process ids; their supervisor is killed afterwards."""
    command = [sys.executable, "-m", "tests.embedded.supervisor", str(folder)]
    with subprocess.Popen(
        [*command, str(area)], cwd=CHECKOUT, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        yield json.loads(process.stdout.readline())
        process.kill()


@pytest.fixture
def sleeper() -> Iterator[subprocess.Popen[bytes]]:
    """Somebody else's process."""
    with subprocess.Popen(["sleep", "60"], start_new_session=True) as process:
        yield process
        process.kill()


def is_alive(pid: int) -> bool:
    try:
        return bool(psutil.Process(pid).status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


def eventually_gone(pid: int) -> bool:
    patience_ends = time.monotonic() + PATIENCE_SECONDS
    while is_alive(pid) and time.monotonic() < patience_ends:
        time.sleep(0.05)
    return not is_alive(pid)


def program(folder: Path, *command: str) -> Program:
    return Program(
        name="child",
        command=command,
        folder=folder,
        log=folder / "child.log",
        record=folder / "child.pid",
        stop_seconds=2,
    )


def write_record(folder: Path, pid: int, created: float) -> None:
    facts = {
        "pid": pid,
        "created": created,
        "folder": str(folder),
        "family": "",
        "stop_signal": int(signal.SIGTERM),
        "stop_seconds": 2,
    }
    (folder / "web.pid").write_text(json.dumps(facts))


@pytest.mark.skipif(sys.platform != "linux", reason="the kernel's help is Linux's")
def test_servers_end_with_a_killed_supervisor(
    folder: Path, quarters_area: Path
) -> None:
    with supervisor(folder, quarters_area) as pids:
        pass

    assert all(eventually_gone(pid) for pid in pids.values())


def test_the_next_start_takes_over_from_a_killed_supervisor(
    folder: Path, quarters_area: Path
) -> None:
    with embedded.running(folder, durable=True) as services:
        keep(services, 1)
    with supervisor(folder, quarters_area) as pids:
        pass

    with embedded.running(folder, durable=True) as services:
        assert not any(is_alive(pid) for pid in pids.values())
        assert kept(services) == ([1], [1])


def test_a_crashed_postgres_starts_again_with_its_data(folder: Path) -> None:
    with embedded.running(folder, durable=True) as services:
        keep(services, 1)
        services.postgres.kill()
        services.valkey.kill()

        services.postgres.start()
        services.valkey.start()

        assert kept(services)[0] == [1]


def test_a_running_postgres_without_a_record_is_found_by_its_own_pid_file(
    folder: Path,
) -> None:
    with embedded.running(folder, durable=True) as services:
        first = services.postgres.pid
        (folder / "run" / "postgres.pid").unlink()

        services.postgres.start()

        assert first is not None
        assert not is_alive(first)
        assert services.postgres.pid != first


def test_a_recycled_number_in_postmaster_pid_stops_nobody(
    folder: Path, sleeper: subprocess.Popen[bytes]
) -> None:
    with embedded.running(folder, durable=True):
        pass
    with quarters_of(folder) as quarters:
        note = quarters.path / "postgres" / "postmaster.pid"
        note.write_text(f"{sleeper.pid}\n")

    with embedded.running(folder, durable=True) as services:
        assert services.postgres.is_running()

    assert sleeper.poll() is None


def test_a_recycled_process_id_is_not_killed(
    tmp_path: Path, sleeper: subprocess.Popen[bytes]
) -> None:
    long_ago = psutil.Process(sleeper.pid).create_time() - 3600
    write_record(tmp_path, sleeper.pid, long_ago)

    assert end_all_left(tmp_path) == []

    assert sleeper.poll() is None
    assert not (tmp_path / "web.pid").exists()


def test_a_process_on_record_is_ended(
    tmp_path: Path, sleeper: subprocess.Popen[bytes]
) -> None:
    write_record(tmp_path, sleeper.pid, psutil.Process(sleeper.pid).create_time())

    assert end_all_left(tmp_path) == ["web"]

    assert sleeper.wait() == -signal.SIGTERM


def test_orphans_of_a_dead_child_are_ended(tmp_path: Path) -> None:
    parent = "sleep 60 & echo $!; exec sleep 60"
    child = Child(program(tmp_path, "sh", "-c", parent))
    child.start()
    while not (lines := child.last_lines()):
        time.sleep(0.02)
    orphan = int(lines[0])
    child.kill()
    assert is_alive(orphan)

    assert end_all_left(tmp_path) == ["child"]

    assert eventually_gone(orphan)


def test_a_record_cut_short_by_a_crash_is_forgotten(tmp_path: Path) -> None:
    (tmp_path / "web.pid").write_text('{"pid": 1')

    assert end_all_left(tmp_path) == []


def test_a_child_that_ignores_the_request_is_killed(tmp_path: Path) -> None:
    deaf = "trap '' TERM; echo deaf; while :; do sleep 0.1; done"
    child = Child(program(tmp_path, "sh", "-c", deaf))
    child.start()
    while not child.last_lines():
        time.sleep(0.02)

    child.stop()

    assert child.ending() == "was ended by SIGKILL"


def test_a_child_leads_its_own_session_and_hears_signals(tmp_path: Path) -> None:
    child = Child(program(tmp_path, "sleep", "60"))
    child.start()

    assert child.pid is not None
    assert os.getsid(child.pid) == child.pid
    child.stop()
    assert child.ending() == "was ended by SIGTERM"


def test_a_program_that_is_not_there_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(embedded.CannotStart, match="child can't be started"):
        Child(program(tmp_path, "/no/such/program")).start()
