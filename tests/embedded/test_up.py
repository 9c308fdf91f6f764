"""`manage.py up` says no in a line or two, and destroys nothing."""

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
OWN = (
    *("DATABASE_URL", "MIGRATION_DATABASE_URL", "REDIS_URL", "EMAIL_URL", "SITE_URL"),
    *("SECRET_KEY", "CONSENT_KEY", "DJANGO_SETTINGS_MODULE", "PORT", "DATA_DIR"),
)


def up(folder: Path, **variables: str) -> tuple[int, str]:
    environment = {name: text for name, text in os.environ.items() if name not in OWN}
    done = subprocess.run(
        [sys.executable, str(ROOT / "manage.py"), "up"],
        env={**environment, "DATA_DIR": str(folder / "var"), **variables},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    said = done.stdout + done.stderr
    assert "Traceback" not in said
    return done.returncode, said


def test_a_port_in_use_is_named_with_another(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]

        status, said = up(tmp_path, PORT=str(port))

    assert status == 1
    assert f"Port {port} is in use" in said
    assert f"PORT={port + 1} make run" in said


@pytest.mark.parametrize("port", ["eighty", "0", "65536", "-1", "80 80"])
def test_a_port_that_is_none_is_refused(tmp_path: Path, port: str) -> None:
    status, said = up(tmp_path, PORT=port)

    assert (status, "Write a number from 1 to 65535" in said) == (1, True)


NOBODY_LISTENS = "postgresql://a:b@127.0.0.1:1/x"


@pytest.mark.parametrize(
    ("database", "said_of_it"),
    [
        ("mysql://a:b@127.0.0.1/x", "names no PostgreSQL database"),
        ("postgresql://a:b@127.0.0.1:port/x", "DATABASE_URL"),
        ("nonsense", "names no PostgreSQL database"),
        (NOBODY_LISTENS, "does not answer"),
    ],
)
def test_a_broken_database_url_is_said_in_its_name(
    tmp_path: Path, database: str, said_of_it: str
) -> None:
    status, said = up(
        tmp_path, DATABASE_URL=database, MIGRATION_DATABASE_URL=NOBODY_LISTENS
    )

    assert status == 1
    assert said_of_it in said
    assert "DATABASE_URL" in said


def test_half_a_database_is_refused(tmp_path: Path) -> None:
    status, said = up(tmp_path, DATABASE_URL=NOBODY_LISTENS)

    assert (status, "MIGRATION_DATABASE_URL is not" in said) == (1, True)


def test_a_folder_that_can_t_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")

    status, said = up(tmp_path, DATA_DIR=str(tmp_path / "file" / "var"))

    assert (status, "can't be used" in said) == (1, True)
    assert (tmp_path / "file").read_text() == "in the way"
