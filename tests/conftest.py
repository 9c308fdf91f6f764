"""Real servers for every test: one PostgreSQL and one Valkey a run.

Each process of pytest-xdist has a database and a Valkey index of its own; every test
that commits gets a fresh copy of the migrated template.
"""

import asyncio
import os
import socket
from collections.abc import Iterator
from contextlib import ExitStack
from itertools import count
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import psycopg
import pytest
import redis
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP
from django.core.management import call_command
from django.db import connections
from psycopg import sql
from pytest_django import DjangoDbBlocker, Settings
from xdist.scheduler import LoadScopeScheduling

from mail.valkey import VALKEY
from newsletter import subscribing
from twitchsite import embedded
from twitchsite.embedded.mailbox import Keeper, messages, protocol
from twitchsite.env import broker, database

# How the process that started the servers tells the others where they are.
SERVERS = "TWITCHSITE_TEST_SERVERS"
TEMPLATE = "twitchsite"
MIGRATING = 7_305_999
WHOLE_SITES = (
    *("tests/browser/", "tests/chaos/test_chaos", "tests/journey/"),
    "tests/pages/test_web_processes",
)
_numbers = count(1)
_started = ExitStack()


def pytest_configure(config: pytest.Config) -> None:
    """Start the servers once, before pytest-xdist starts its processes."""
    if SERVERS in os.environ or config.option.collectonly:
        return
    folder = Path(_started.enter_context(TemporaryDirectory(prefix="twitchsite-test-")))
    services = _started.enter_context(embedded.running(folder, durable=False))
    os.environ[SERVERS] = " ".join(
        [
            services.superuser_url("{}"),
            services.owner_url("{}"),
            services.application_url("{}"),
            services.redis_url(0).replace("db=0", "db={}"),
            str(folder / "log" / "postgres.log"),
        ]
    )


def pytest_unconfigure(config: pytest.Config) -> None:
    _started.close()


class WholeFiles(LoadScopeScheduling):  # type: ignore[misc]
    """pytest-xdist's plan, but a file that runs a whole site stays in one process.

    Marks (`xdist_group`) can't say so: pytest-xdist 3.8 writes them into a test's
    `nodeid`, which pytest 9.2 no longer lets it change.
    """

    def _split_scope(self, nodeid: str) -> str:
        file = nodeid.partition("::")[0]
        return file if file.startswith(WHOLE_SITES) else nodeid


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> WholeFiles:
    return WholeFiles(config, log)


class Servers:
    """Where the run's servers are; `process` numbers this process of pytest-xdist."""

    def __init__(self) -> None:
        self._urls = os.environ[SERVERS].split(" ")
        name = os.environ.get("PYTEST_XDIST_WORKER", "gw0")
        self.process = int(name.removeprefix("gw"))

    def superuser_url(self, name: str = "postgres") -> str:
        return self._urls[0].replace("%7B%7D", "{}").format(name)

    def owner_url(self, name: str = TEMPLATE) -> str:
        return self._urls[1].replace("%7B%7D", "{}").format(name)

    def application_url(self, name: str = TEMPLATE) -> str:
        return self._urls[2].replace("%7B%7D", "{}").format(name)

    def redis_url(self) -> str:
        return self._urls[3].replace("%7B%7D", "{}").format(self.process + 1)

    def log(self) -> bytes:
        """What PostgreSQL has written in this run, for all of its processes."""
        return Path(self._urls[4]).read_bytes()


@pytest.fixture(scope="session")
def cluster() -> Servers:
    return Servers()


@pytest.fixture(autouse=True)
def fresh_box() -> None:
    """What a process knows for a second of the box, another test's may be."""
    subscribing._shown.cache_clear()


@pytest.fixture(autouse=True)
def own_valkey(cluster: Servers, settings: Settings) -> None:
    """Cache and counts are in this process's own index of the run's Valkey, empty."""
    url = cluster.redis_url()
    redis.Redis.from_url(url).flushdb()
    VALKEY.worked()
    settings.REDIS_URL = url
    settings.CACHES = {"default": {**settings.CACHES["default"], "LOCATION": url}}
    settings.CELERY_BROKER_URL = broker(url)


@pytest.fixture(autouse=True)
def own_data_dir(settings: Settings, tmp_path: Path) -> Path:
    """Each test is a host of its own, which remembers no other test's database."""
    settings.DATA_DIR = tmp_path / "data"
    return tmp_path / "data"


def point_at(cluster: Servers, name: str) -> None:
    """Let both of Django's aliases use the database `name`."""
    urls = {"default": cluster.application_url(name), "owner": cluster.owner_url(name)}
    for alias, url in urls.items():
        connections[alias].close()
        connections[alias].settings_dict.update(database(url))
        connections[alias].settings_dict["CONN_MAX_AGE"] = 0


def clone(cluster: Servers) -> str:
    """A copy of the migrated template: rows, grants and triggers alike."""
    name = f"clone_{cluster.process}_{next(_numbers)}"
    with psycopg.connect(cluster.superuser_url(), autocommit=True) as connection:
        connection.execute(
            sql.SQL("CREATE DATABASE {} TEMPLATE {} OWNER twitchsite_owner").format(
                sql.Identifier(name), sql.Identifier(TEMPLATE)
            )
        )
    return name


def drop(cluster: Servers, name: str) -> None:
    with psycopg.connect(cluster.superuser_url(), autocommit=True) as connection:
        connection.execute(
            sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name))
        )


def migrate_template(cluster: Servers) -> None:
    """Whoever comes first migrates; the others wait for the lock and find it done."""
    with psycopg.connect(cluster.superuser_url(), autocommit=True) as connection:
        connection.execute("SELECT pg_advisory_lock(%s)", [MIGRATING])
        done = connection.execute(
            "SELECT shobj_description(oid, 'pg_database') FROM pg_database "
            "WHERE datname = %s",
            [TEMPLATE],
        ).fetchone()
        if done == ("migrated",):
            return
        point_at(cluster, TEMPLATE)
        call_command("migrate", verbosity=0)
        # A template must have no visitors while it is copied.
        connections.close_all()
        connection.execute(f"COMMENT ON DATABASE {TEMPLATE} IS 'migrated'")


@pytest.fixture(scope="session")
def django_db_setup(cluster: Servers, django_db_blocker: DjangoDbBlocker) -> None:
    with django_db_blocker.unblock():
        migrate_template(cluster)
        point_at(cluster, clone(cluster))


@pytest.fixture
def cloned_database(
    cluster: Servers, django_db_setup: None, django_db_blocker: DjangoDbBlocker
) -> Iterator[str]:
    """A fresh database to commit into; evidence tables refuse to be emptied."""
    shared = str(connections["default"].settings_dict["NAME"])
    name = clone(cluster)
    with django_db_blocker.unblock():
        point_at(cluster, name)
        yield name
        point_at(cluster, shared)
    drop(cluster, name)


class Mailbox(Keeper):
    """The demonstration's mailbox in this process, told how to answer."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.folder = folder
        self.rcpt_replies: dict[str, str] = {}
        # How long it thinks about an address.
        self.rcpt_seconds: dict[str, float] = {}
        # What it says to one connection after the other, and how long it takes.
        self.ehlo_replies: list[str] = []
        self.ehlo_seconds: list[float] = []
        self.mail_reply = ""
        # How often MAIL came, whatever the answer.
        self.asked = 0
        self.connected: list[SMTP] = []

    def hang_up(self) -> None:
        """On everybody who is connected."""
        for one in self.connected:
            assert one.transport is not None
            one.loop.call_soon_threadsafe(one.transport.close)

    @property
    def taken(self) -> list[str]:
        """Whose mail it took, in order."""
        kept = messages(self.folder)
        return [address for one in kept for address in one.envelope["to"]]

    async def handle_EHLO(
        self,
        server: SMTP,
        session: Any,
        envelope: Any,
        hostname: str,
        responses: list[str],
    ) -> list[str]:
        session.host_name = hostname
        self.connected.append(server)
        if self.ehlo_seconds:
            await asyncio.sleep(self.ehlo_seconds.pop(0))
        refusal = self.ehlo_replies.pop(0) if self.ehlo_replies else ""
        return [refusal] if refusal else responses

    async def handle_MAIL(
        self, server: SMTP, session: Any, envelope: Any, sender: str, options: list[str]
    ) -> str:
        envelope.mail_from = sender
        self.asked += 1
        return self.mail_reply or "250 OK"

    async def handle_RCPT(
        self,
        server: SMTP,
        session: Any,
        envelope: Any,
        address: str,
        options: list[str],
    ) -> str:
        envelope.rcpt_tos.append(address)
        await asyncio.sleep(self.rcpt_seconds.get(address, 0))
        return self.rcpt_replies.get(address, "250 OK")


@pytest.fixture
def mailbox(settings: Settings, tmp_path: Path) -> Iterator[Mailbox]:
    """A real SMTP server; what the site sends during the test arrives here."""
    box = Mailbox(tmp_path / "mail")
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    controller = Listening(box, hostname="127.0.0.1", port=port)
    controller.start()
    settings.MAIL_SERVER = {**settings.MAIL_SERVER, "port": port}
    yield box
    controller.stop()


class Listening(Controller):
    def factory(self) -> SMTP:
        return protocol(self.handler)
