"""A whole site for one seed: durable servers, a migrated database, senders, beat.

Settings are made here and Django is set up here: what is imported later sees them.
"""

import os
import shutil
import socket
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import MappingProxyType

import psutil
import redis

from tests.chaos.faults import Plan
from twitchsite import embedded
from twitchsite.embedded.places import POINTER
from twitchsite.embedded.processes import Child, Program
from twitchsite.embedded.supervision import Watch
from twitchsite.up import BEAT, PYTHON, SENDERS, WORKER

ROOT = Path(__file__).resolve().parents[2]
# Two of these are a lease: what crashes left is found within seconds, not minutes.
DEADLINE_SECONDS = 2
# Of a sender, for every kill leaves as many messages in doubt.
CONNECTIONS_EACH = 4
CONNECTIONS = len(SENDERS) * CONNECTIONS_EACH
READY_SECONDS = 60


class Site:
    """Servers, senders and beat live as long as the seed."""

    def __init__(
        self, folder: Path, services: embedded.Services, listening: socket.socket
    ) -> None:
        self.folder = folder
        self.services = services
        # The sink's: it keeps its port however often it is started anew.
        self._listening = listening
        self._sink: Child | None = None
        self.senders: list[Child] = []
        # Worker, senders, and beat as the last.
        self._staff: list[Child] = []
        self._children: list[Child] = []

    def child(
        self,
        name: str,
        command: Sequence[str],
        descriptors: tuple[int, ...] = (),
        changes: Mapping[str, str] = MappingProxyType({}),
    ) -> Child:
        """A process of this site, not started yet; it ends with the site.

        `changes` are made to its environment.
        """
        environment = {**os.environ, "PYTHONPATH": str(ROOT), **changes}
        made = Child(
            Program(
                name=name,
                command=tuple(command),
                folder=self.folder / "run",
                log=self.folder / "log" / f"{name}.log",
                record=self.folder / "run" / f"{name}.pid",
                environment=environment,
                descriptors=descriptors,
                stop_seconds=30,
            )
        )
        self._children.append(made)
        return made

    def open(self) -> None:
        """Start worker, senders and beat, by the commands of `up`."""
        for name, command in SENDERS.items():
            self.senders.append(self.child(name, command))
        self._staff = [self.child("worker", WORKER), *self.senders, self.beat("beat")]
        self._watch = Watch(self._staff, _note)
        self.go_on()

    def look_after(self) -> None:
        """Start again who ended by itself, as `up` does.

        Celery gives up when Redis goes away at the wrong moment.
        """
        self._watch.look(time.monotonic())

    def go_on(self) -> None:
        """Raises CannotStart when they don't get ready."""
        for child in self._staff:
            self.start(child)
        workers = self._staff[:-1]
        if not until(lambda: all(map(self.is_ready, workers)), READY_SECONDS):
            raise embedded.CannotStart("The workers did not get ready.")

    def start(self, worker: Child) -> None:
        self._mark(worker).unlink(missing_ok=True)
        worker.start()

    def is_ready(self, worker: Child) -> bool:
        return self._mark(worker).exists()

    def _mark(self, worker: Child) -> Path:
        """What `twitchsite.celery` makes once the worker works."""
        return self.folder / "run" / f"{worker.name}.ready"

    def pause(self) -> None:
        """Nobody works until `go_on`."""
        for child in reversed(self._staff):
            child.stop()

    def beat(
        self, name: str, changes: Mapping[str, str] = MappingProxyType({})
    ) -> Child:
        schedule = str(self.folder / "run" / f"{name}.schedule")
        return self.child(name, (*BEAT, "--schedule", schedule), changes=changes)

    def close(self) -> None:
        for child in reversed(self._children):
            child.stop()

    def serve(self, journal: Path, plan: Plan) -> None:
        """The mail server anew, as `plan` says.

        It is never missing for long: senders would notice and leave it alone.
        """
        if self._sink:
            self._sink.stop()
        written = self.folder / "plan"
        plan.write(written)
        descriptor = self._listening.fileno()
        words = (str(descriptor), str(written), str(journal))
        command = (*PYTHON, "tests.chaos.sink", *words)
        self._sink = self.child("sink", command, (descriptor,))
        self._sink.start()

    def forget_hints(self) -> None:
        """FLUSHALL: what Redis is not needed for."""
        with redis.Redis.from_url(self.services.redis_url()) as client:
            client.flushall()


def _note(event: str) -> None:
    sys.stderr.write(f"{event}\n")


def family(child: Child) -> list[psutil.Process]:
    """The process and its own children, by their numbers."""
    leader = psutil.Process(child.pid)
    return [leader, *leader.children(recursive=True)]


def until(is_so: Callable[[], bool], seconds: float) -> bool:
    """Whether it became so within that time."""
    ends = time.monotonic() + seconds
    while not (so := is_so()) and time.monotonic() < ends:
        time.sleep(0.1)
    return so


@contextmanager
def site(folder: Path) -> Iterator[Site]:
    """Everything below `folder`: logs, lists and journals stay there afterwards.

    What an earlier run left there goes first, its processes too.
    """
    _clear(folder)
    with ExitStack() as stack:
        stack.callback(_clear_servers, folder)
        services = stack.enter_context(embedded.running(folder, durable=True))
        listening = socket.create_server(("127.0.0.1", 0), backlog=128)
        stack.enter_context(listening)
        os.environ |= _settings(folder, services, listening.getsockname()[1])
        _migrate()
        made = Site(folder, services, listening)
        stack.callback(made.close)
        made.serve(folder / "journal", Plan())
        made.open()
        yield made


def _settings(
    folder: Path, services: embedded.Services, mail_port: int
) -> dict[str, str]:
    """A production site's environment."""
    return {
        "DJANGO_SETTINGS_MODULE": "twitchsite.settings",
        "DATA_DIR": str(folder),
        "DEMO": "0",
        "SITE_URL": "https://health.example",
        "SECRET_KEY": "chaos only: fifty characters and more, so that checks pass",
        "CONSENT_KEY": "chaos only: the key of links",
        "DATABASE_URL": services.application_url(),
        "MIGRATION_DATABASE_URL": services.owner_url(),
        "REDIS_URL": services.redis_url(),
        "EMAIL_URL": f"smtp://127.0.0.1:{mail_port}",
        "MAIL_FROM": "twitchsite <tips@health.example>",
        "MAIL_DEADLINE_SECONDS": str(DEADLINE_SECONDS),
        "HANDOVER_WINDOW": os.environ.get("HANDOVER_WINDOW", "1"),
        "MAIL_CONNECTIONS": str(CONNECTIONS_EACH),
        "CONTACT_EMAIL": "hello@health.example",
        "POSTAL_ADDRESS": "1 Chaos Street",
        "LOG_LEVEL": "WARNING",
    }


def _migrate() -> None:
    import django

    django.setup()
    from django.core.management import call_command

    from twitchsite import celery

    # Hints are sent by whichever application is the current one.
    celery.app.set_default()
    call_command("migrate", verbosity=0)


def _clear(folder: Path) -> None:
    embedded.end_all_left(folder / "run")
    _clear_servers(folder)
    shutil.rmtree(folder, ignore_errors=True)


def _clear_servers(folder: Path) -> None:
    """The servers' data, which lies outside of `folder` when this process is root."""
    pointer = folder / POINTER
    places = [Path(pointer.read_text().strip())] if pointer.exists() else []
    for place in (*places, folder / "postgres", folder / "valkey"):
        shutil.rmtree(place, ignore_errors=True)
    pointer.unlink(missing_ok=True)
