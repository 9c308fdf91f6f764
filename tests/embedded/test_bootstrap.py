"""The first thing a newcomer meets: each obstacle is one clear sentence."""

import json
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from twitchsite import bootstrap

ROOT = Path(__file__).resolve().parents[2]
# Installs nothing and needs no network: an empty list is complete at once.
NOTHING = "requirements-none.txt"


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    (tmp_path / "twitchsite").mkdir()
    shutil.copy(ROOT / "twitchsite/bootstrap.py", tmp_path / "twitchsite")
    (tmp_path / NOTHING).write_text("")
    return tmp_path


def run(checkout: Path, *, requirements: str = NOTHING) -> tuple[int, str]:
    done = subprocess.run(
        [sys.executable, "-I", "twitchsite/bootstrap.py", requirements],
        cwd=checkout,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert "Traceback" not in done.stdout + done.stderr
    return done.returncode, done.stdout


def test_an_old_python_is_told_what_to_do() -> None:
    with pytest.raises(bootstrap.Refused, match=r"this is 3\.9 .*\n.*PYTHON=/path"):
        bootstrap.refuse_old_python((3, 9, 2), "/usr/bin/python3")


def test_musl_is_named() -> None:
    with pytest.raises(bootstrap.Refused, match="glibc"):
        bootstrap.refuse_unfit_system("posix", "cpython-311-x86_64-linux-musl")


def test_a_python_without_venv_is_told_the_package() -> None:
    with pytest.raises(bootstrap.Refused, match="apt install python3"):
        bootstrap.refuse_incomplete_python(lambda name: None)


def test_an_environment_is_made_once(checkout: Path) -> None:
    assert run(checkout)[0] == 0
    state = json.loads((checkout / ".venv/twitchsite.json").read_text())
    made_at = (checkout / ".venv/pyvenv.cfg").stat().st_mtime_ns

    again = run(checkout)

    assert state["made"] is True
    assert again == (0, "")
    assert (checkout / ".venv/pyvenv.cfg").stat().st_mtime_ns == made_at


def test_an_interrupted_installation_is_done_again(checkout: Path) -> None:
    (checkout / ".venv/bin").mkdir(parents=True)
    (checkout / ".venv/twitchsite.json").write_text('{"made": true}')
    (checkout / ".venv/bin/python").write_text("half a file")

    assert run(checkout)[0] == 0
    assert (checkout / ".venv/bin/pip").exists()


def test_a_stranger_s_environment_is_never_cleared(checkout: Path) -> None:
    (checkout / ".venv").mkdir()
    (checkout / ".venv/precious").write_text("mine")

    status, said = run(checkout)

    assert status == 1
    assert "made by somebody else" in said
    assert (checkout / ".venv/precious").read_text() == "mine"


def test_what_pip_refuses_is_said_in_a_line(checkout: Path) -> None:
    (checkout / NOTHING).write_text("no-such-package-here\n")

    status, said = run(checkout)

    assert status == 1
    assert "The packages could not be installed" in said
    assert "install.log" in said


def test_a_missing_file_is_named(checkout: Path) -> None:
    status, said = run(checkout, requirements="nowhere.txt")

    assert (status, "nowhere.txt can't be used" in said) == (1, True)


def works_in(process: psutil.Process, checkout: Path) -> bool:
    try:
        return any(str(checkout) in word for word in process.cmdline())
    except psutil.Error:
        return False


def test_an_interruption_leaves_no_pip_behind(checkout: Path) -> None:
    child = subprocess.Popen(
        [sys.executable, "-I", "twitchsite/bootstrap.py", NOTHING],
        cwd=checkout,
        stdout=subprocess.PIPE,
        start_new_session=True,
    )
    time.sleep(0.5)

    child.send_signal(signal.SIGTERM)

    child.communicate(timeout=30)
    assert child.returncode in (0, 130)
    assert not [one for one in psutil.process_iter() if works_in(one, checkout)]
