"""PostgreSQL and Valkey from wheels: what they promise to everybody above."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest
import redis

from twitchsite import embedded
from twitchsite.embedded import CannotStart, Quarters, Services
from twitchsite.env import database


def keep(services: Services, value: int) -> None:
    with psycopg.connect(services.owner_url()) as connection:
        connection.execute("CREATE TABLE IF NOT EXISTS kept (value int)")
        connection.execute("INSERT INTO kept VALUES (%s)", [value])
    with redis.Redis.from_url(services.redis_url()) as client:
        client.rpush("kept", value)


def kept(services: Services) -> tuple[list[int], list[int]]:
    with psycopg.connect(services.owner_url()) as connection:
        rows = connection.execute("SELECT value FROM kept ORDER BY value").fetchall()
    with redis.Redis.from_url(services.redis_url()) as client:
        items = client.lrange("kept", 0, -1)
    return [row[0] for row in rows], [int(item) for item in items]


@contextmanager
def quarters_of(folder: Path) -> Iterator[Quarters]:
    """The servers' folder while none of them runs."""
    with (
        embedded.data_folder(folder) as held,
        embedded.quarters(held, durable=True) as quarters,
    ):
        yield quarters


def ask(url: str, query: str) -> object:
    with psycopg.connect(url) as connection:
        row = connection.execute(query).fetchone()
    return row[0] if row else None


def test_data_is_there_after_a_restart(folder: Path) -> None:
    with embedded.running(folder, durable=True) as services:
        keep(services, 1)

    with embedded.running(folder, durable=True) as services:
        assert kept(services) == ([1], [1])


def test_nothing_listens_on_tcp_and_text_is_utf8(services: Services) -> None:
    url = services.owner_url()

    assert ask(url, "SHOW listen_addresses") == ""
    assert ask(url, "SELECT upper('é')") == "É"
    with redis.Redis.from_url(services.redis_url()) as client:
        assert client.config_get("port") == {"port": "0"}


def test_only_what_is_not_durable_is_careless(folder: Path) -> None:
    with embedded.running(folder / "a", durable=True) as durable:
        assert ask(durable.superuser_url(), "SHOW fsync") == "on"
        with redis.Redis.from_url(durable.redis_url()) as client:
            assert client.config_get("appendonly") == {"appendonly": "yes"}

    with embedded.running(folder / "b", durable=False) as careless:
        assert ask(careless.superuser_url(), "SHOW fsync") == "off"


def test_the_application_owns_nothing_and_creates_nothing(services: Services) -> None:
    url = services.application_url()

    for statement in (
        "CREATE TABLE mine (x int)",
        "CREATE TEMPORARY TABLE mine (x int)",
        "CREATE DATABASE mine",
        "CREATE SCHEMA mine",
    ):
        with (
            psycopg.connect(url, autocommit=True) as connection,
            pytest.raises(psycopg.errors.InsufficientPrivilege),
        ):
            connection.execute(statement)


def test_the_owner_may_make_databases_but_is_no_superuser(services: Services) -> None:
    with psycopg.connect(services.owner_url(), autocommit=True) as connection:
        connection.execute("CREATE DATABASE another")

    assert ask(services.owner_url("another"), "SHOW is_superuser") == "off"


def test_a_wrong_password_is_refused(services: Services) -> None:
    url = services.owner_url().replace("twitchsite_owner:", "twitchsite_owner:x")

    with pytest.raises(psycopg.OperationalError, match="authentication failed"):
        psycopg.connect(url)


def test_addresses_mean_the_same_to_django_and_psycopg(services: Services) -> None:
    settings = database(services.application_url())

    connection = psycopg.connect(
        host=settings["HOST"],
        user=settings["USER"],
        password=settings["PASSWORD"],
        dbname=settings["NAME"],
    )
    connection.close()


def test_secrets_are_for_the_owner_of_the_folder_alone(folder: Path) -> None:
    with embedded.running(folder, durable=False):
        assert (folder / "passwords.json").stat().st_mode & 0o077 == 0
        assert folder.stat().st_mode & 0o077 == 0


def test_sockets_stay_short_below_a_very_long_path(tmp_path: Path) -> None:
    far_down = tmp_path.joinpath(*["a-folder-with-a-long-name"] * 9)

    with embedded.running(far_down, durable=False) as services:
        socket = services.redis_url().removeprefix("unix://").partition("?")[0]

        assert len(str(far_down)) > 200
        assert len(socket) < 100
        assert ask(services.owner_url(), "SELECT 1") == 1


def test_two_folders_run_side_by_side(folder: Path) -> None:
    with (
        embedded.running(folder / "a", durable=False) as first,
        embedded.running(folder / "b", durable=False) as second,
    ):
        keep(first, 1)
        keep(second, 2)

        assert kept(first) == ([1], [1])
        assert kept(second) == ([2], [2])


def test_one_folder_is_one_site(folder: Path) -> None:
    with embedded.running(folder, durable=False):
        with pytest.raises(CannotStart) as refused:
            embedded.running(folder, durable=False).__enter__()

        assert f"process {os.getpid()}" in refused.value.problem


def test_an_interrupted_initdb_is_done_again(folder: Path, quarters_area: Path) -> None:
    with quarters_of(folder) as quarters:
        half_done = quarters.make(quarters.path / "postgres.new")
        (half_done / "PG_VERSION").write_text("18\n")

    with embedded.running(folder, durable=True) as services:
        assert ask(services.owner_url(), "SELECT 1") == 1
        assert not half_done.exists()


@pytest.mark.parametrize(
    ("version", "complaint"),
    [(None, "is no PostgreSQL cluster"), ("9.6\n", "was made by PostgreSQL 9.6")],
)
def test_a_folder_that_is_not_ours_is_left_alone(
    folder: Path, version: str | None, complaint: str
) -> None:
    with quarters_of(folder) as quarters:
        theirs = quarters.path / "postgres"
        theirs.mkdir()
        (theirs / "precious").write_text("data")
        if version:
            (theirs / "PG_VERSION").write_text(version)

    with pytest.raises(CannotStart, match=complaint):
        embedded.running(folder, durable=True).__enter__()

    assert (theirs / "precious").read_text() == "data"


def test_lost_passwords_are_said_and_nothing_is_destroyed(folder: Path) -> None:
    with embedded.running(folder, durable=True) as services:
        keep(services, 1)
    passwords = (folder / "passwords.json").read_text()
    (folder / "passwords.json").unlink()

    with pytest.raises(CannotStart, match="Put it back"):
        embedded.running(folder, durable=True).__enter__()

    (folder / "passwords.json").write_text(passwords)
    with embedded.running(folder, durable=True) as services:
        assert kept(services) == ([1], [1])


def test_a_temporary_cluster_leaves_no_folder() -> None:
    with embedded.temporary_cluster() as cluster:
        socket = Path(str(ask(cluster.superuser_url(), "SHOW unix_socket_directories")))
        assert socket.exists()

    assert not socket.exists()
