"""Web processes as `up` starts them, on a database of the test's."""

import os
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from http import HTTPStatus
from pathlib import Path

import httpx
import psycopg
from psycopg import sql

from bench.stand import free_port
from tests.conftest import Servers
from twitchsite.up import WEB

ROOT = Path(__file__).resolve().parents[2]
START_SECONDS = 60


@contextmanager
def web(
    database_url: str, folder: Path, *, redis_urls: Sequence[str]
) -> Iterator[list[httpx.Client]]:
    """A kept connection to each process: one worker for each Redis."""
    environment = {
        **os.environ,
        "PYTHONPATH": str(ROOT),
        "DJANGO_SETTINGS_MODULE": "twitchsite.settings",
        "DATA_DIR": str(folder),
        "DATABASE_URL": database_url,
        "SITE_URL": "http://127.0.0.1",
        "REDIS_URL": redis_urls[0],
    }
    manage = [sys.executable, str(ROOT / "manage.py"), "collectstatic", "--noinput"]
    subprocess.run(manage, env=environment, check=True, stdout=subprocess.DEVNULL)
    with ExitStack() as stack:
        clients = [
            stack.enter_context(_process({**environment, "REDIS_URL": url}, folder))
            for url in redis_urls
        ]
        for client in clients:
            _wait_for(client)
        yield clients


@contextmanager
def _process(environment: dict[str, str], folder: Path) -> Iterator[httpx.Client]:
    port = free_port()
    command = [*WEB, "--port", str(port), "--workers", "1"]
    with (folder / f"web{port}.log").open("wb") as log:
        process = subprocess.Popen(
            command, cwd=ROOT, env=environment, stdout=log, stderr=log
        )
    try:
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=30) as client:
            yield client
    finally:
        process.terminate()
        process.wait()


def _wait_for(client: httpx.Client) -> None:
    ends = time.monotonic() + START_SECONDS
    while time.monotonic() < ends:
        try:
            if client.get("/healthz").status_code == HTTPStatus.OK:
                return
        except httpx.TransportError:
            time.sleep(0.1)
    raise TimeoutError("web did not start")


@contextmanager
def away(cluster: Servers, name: str) -> Iterator[None]:
    """Nobody reaches the database meanwhile; whoever was connected is cut off."""
    allow = sql.SQL("ALTER DATABASE {} ALLOW_CONNECTIONS {}")
    with psycopg.connect(cluster.superuser_url(), autocommit=True) as superuser:
        database = sql.Identifier(name)
        superuser.execute(allow.format(database, sql.SQL("false")))
        try:
            superuser.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                "WHERE datname = %s",
                [name],
            )
            yield
        finally:
            superuser.execute(allow.format(database, sql.SQL("true")))
