"""`manage.py up`: the whole site in one terminal.

It starts servers where none are named, brings the database up to date, starts web,
worker and beat, and looks after all of them until it is interrupted. Settings are not
imported here: they need the environment that this command works out.
"""

import errno
import http.client
import json
import os
import socket
import sys
import time
import traceback
from collections.abc import Callable
from contextlib import ExitStack, suppress
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from urllib.parse import urlsplit

from twitchsite import embedded
from twitchsite.embedded import postgres, surroundings, valkey
from twitchsite.embedded.interruptions import Interrupted, ignore, listen
from twitchsite.embedded.places import DataFolder, unwritable
from twitchsite.embedded.processes import Child, Program, last_lines
from twitchsite.embedded.refusals import CannotStart
from twitchsite.embedded.screen import Screen
from twitchsite.embedded.supervision import Service, Watch
from twitchsite.embedded.surroundings import Surroundings

CHECKOUT = Path(__file__).resolve().parent.parent
READY_SECONDS = 30
DISK_TROUBLE = {errno.ENOSPC, errno.EDQUOT, errno.EROFS}
WEB_WORKERS = 2
WEB_THREADS = 4
# granian counts connections here, idle keep-alive ones too: with few allowed, a
# handful of open browsers would lock everybody else out.
WEB_CONNECTIONS = 512
WORKER_THREADS = 4
PYTHON = (sys.executable, "-m")
WEB = (
    *(*PYTHON, "granian", "--interface", "wsgi", "twitchsite.wsgi:application"),
    *("--host", "127.0.0.1", "--workers", str(WEB_WORKERS)),
    *("--blocking-threads", str(WEB_THREADS), "--backpressure", str(WEB_CONNECTIONS)),
    *("--respawn-failed-workers", "--workers-kill-timeout", "5", "--no-ws"),
)
CELERY = (*PYTHON, "celery", "-A", "twitchsite.celery")


def _worker(name: str, queue: str, threads: int) -> tuple[str, ...]:
    return (
        *(*CELERY, "worker", "--hostname", f"{name}@%h", "--queues", queue),
        *("--pool", "threads", "--concurrency", str(threads)),
        *("--without-gossip", "--without-mingle", "--loglevel", "warning"),
    )


WORKER = _worker("worker", "celery", WORKER_THREADS)
# Sending has processes of its own: a million tips must not hold up a sign-up. One
# thread looks after all connections of a process.
SENDERS = {name: _worker(name, "sending", 1) for name in ("sender1", "sender2")}
BEAT = (*CELERY, "beat", "--pidfile", "", "--loglevel", "warning")


class Site:
    """Everything one `up` runs, in the order of starting."""

    def __init__(
        self, folder: DataFolder, asked: Surroundings, screen: Screen, stack: ExitStack
    ) -> None:
        self.folder = folder
        self.asked = asked
        self.screen = screen
        self._stack = stack
        self._services: list[Service] = []
        self._environment = {
            **os.environ,
            "DATA_DIR": str(folder.path),
            "DEMO": "1" if asked.is_demonstration else "0",
            "DJANGO_SETTINGS_MODULE": "twitchsite.settings",
            "PYTHONPATH": _path_with(CHECKOUT),
            "PYTHONUNBUFFERED": "1",
        }

    def start(self) -> None:
        """Everything, one step after the other; what it started, `stop` stops."""
        self._find_database()
        self._find_queue()
        if self.asked.is_demonstration:
            self._furnish_demonstration()
        people = self._prepare()
        self._open()
        self._say_where(people)

    def keep(self) -> None:
        Watch(self._services, self._tell).keep()

    def stop(self) -> None:
        """In reverse order, whatever happens on the way."""
        if not self._services:
            return
        names = ", ".join(service.name for service in reversed(self._services))
        with self.screen.step("stopping", names):
            for service in reversed(self._services):
                try:
                    service.stop()
                except Exception:
                    # One that can't be stopped must not keep the others running.
                    _write_down(self.folder)

    # --- Servers -------------------------------------------------------------------

    @cached_property
    def _quarters(self) -> embedded.Quarters:
        """Made only when a server has to live in them."""
        surroundings.refuse_unfit_machine()
        made = self._stack.enter_context(embedded.quarters(self.folder, durable=True))
        if made.user:
            self.screen.fact("servers", f"run as {made.user.pw_name} in {made.path}")
        for path in made.abandoned:
            self.screen.fact("", f"(nothing uses {path} any more)")
        return made

    def _find_database(self) -> None:
        if not self.asked.database_url:
            self._start_postgres()
            return
        with self.screen.step("database", "the one in DATABASE_URL"):
            for name, url in (
                ("DATABASE_URL", self.asked.database_url),
                ("MIGRATION_DATABASE_URL", self.asked.migration_database_url),
            ):
                surroundings.refuse_silent_database(name, url)

    def _find_queue(self) -> None:
        if not self.asked.redis_url:
            self._start_valkey()
            return
        with self.screen.step("queue", "the one in REDIS_URL"):
            surroundings.refuse_silent_redis(self.asked.redis_url)

    def _start_postgres(self) -> None:
        cluster = embedded.Cluster(self.folder, self._quarters)
        new = ", new cluster" if cluster.is_new() else ""
        text = f"PostgreSQL {postgres.installed_version()}{new}"
        self._start("database", text, cluster)
        self._environment["DATABASE_URL"] = cluster.application_url()
        self._environment["MIGRATION_DATABASE_URL"] = cluster.owner_url()

    def _start_valkey(self) -> None:
        server = embedded.Valkey(self.folder, self._quarters)
        self._start("queue", f"Valkey {valkey.installed_version()}", server)
        self._environment["REDIS_URL"] = server.url()

    # --- Before the doors open -----------------------------------------------------

    def _furnish_demonstration(self) -> None:
        self._environment |= surroundings.demonstration_keys(self.folder)
        self._environment["SITE_URL"] = self.asked.public_url
        if not self.asked.email_url:
            self._start_mailbox()

    def _start_mailbox(self) -> None:
        """The socket stays here, so that a mailbox started again has the same port."""
        listening = self._stack.enter_context(socket.socket())
        listening.bind(("127.0.0.1", 0))
        listening.listen()
        descriptor = listening.fileno()
        port = listening.getsockname()[1]
        command = (*PYTHON, "twitchsite.embedded.mailbox", str(self.folder.mail))
        self._start(
            "mailbox",
            f"127.0.0.1 port {port}, takes every mail",
            self._child("mailbox", (*command, str(descriptor)), (descriptor,)),
        )
        self._environment["EMAIL_URL"] = f"smtp://127.0.0.1:{port}"

    def _prepare(self) -> list[dict[str, str]]:
        """Migrations, files, and in a demonstration its people with fresh passwords."""
        self._manage("migrations", "bringing the tables up to date", "migrate")
        self._manage("static files", "collecting", "collectstatic")
        if not self.asked.is_demonstration:
            return []
        output = self.folder.run / "people.json"
        text = "the starter library and its people"
        try:
            self._manage("demonstration", text, "demonstrate", output)
            return _people(output)
        finally:
            output.unlink(missing_ok=True)

    def _manage(
        self, label: str, text: str, command: str, output: Path | None = None
    ) -> None:
        """Run one management command; what it says goes to its log.

        Raises CannotStart with its last words when it fails.
        """
        words = (command,) if output else (command, "--noinput")
        manage = (sys.executable, str(CHECKOUT / "manage.py"), *words)
        child = self._child(command, manage, output=output)
        with self.screen.step(label, text):
            child.start()
            try:
                status = child.wait()
            finally:
                child.stop()
            if status:
                raise _command_failed(child)

    # --- The doors -----------------------------------------------------------------

    def _open(self) -> None:
        workers = {"worker": WORKER, **SENDERS}
        marks = [self.folder.run / f"{name}.ready" for name in workers]
        for mark in marks:
            mark.unlink(missing_ok=True)
        # Those who serve need not know the owner's password.
        self._environment.pop("MIGRATION_DATABASE_URL", None)
        schedule = str(self.folder.run / "beat")
        port = str(self.asked.port)
        with self.screen.step("doors", "web, worker, senders and beat"):
            self._begin(self._child("web", (*WEB, "--port", port)))
            for name, command in workers.items():
                self._begin(self._child(name, command, stop_seconds=20))
            self._begin(self._child("beat", (*BEAT, "--schedule", schedule)))
            self._wait_until(self._site_is_ready, "/readyz does not answer 200")
            for mark in marks:
                self._wait_until(mark.exists, f"the {mark.stem} is not ready")

    def _wait_until(self, is_so: Callable[[], bool], complaint: str) -> None:
        patience_ends = time.monotonic() + READY_SECONDS
        while not is_so():
            for service in self._services:
                if not service.is_running():
                    raise _ended(service, self.folder)
            if time.monotonic() > patience_ends:
                raise CannotStart(
                    f"The site was not ready after {READY_SECONDS} s: {complaint}.",
                    f"The logs are in {self.folder.path / 'log'}.",
                    lines=last_lines(self.folder.log("web"), 5),
                )
            time.sleep(0.1)

    def _site_is_ready(self) -> bool:
        return self._health() is not None

    def _health(self) -> dict[str, str] | None:
        """What /readyz says; None while the site is not ready.

        Asked from inside, in the name of the host that the site answers to.
        """
        connection = http.client.HTTPConnection("127.0.0.1", self.asked.port, timeout=5)
        host = urlsplit(self.asked.public_url).netloc
        try:
            connection.request("GET", "/readyz", headers={"Host": host})
            answer = connection.getresponse()
            return dict(json.load(answer)) if answer.status == 200 else None
        except (OSError, ValueError, http.client.HTTPException):
            return None
        finally:
            connection.close()

    # --- What is said --------------------------------------------------------------

    def _say_where(self, people: list[dict[str, str]]) -> None:
        screen, url = self.screen, self.asked.public_url
        screen.line()
        screen.fact("site", f"{url}/")
        screen.fact("admin", f"{url}/admin/")
        if self.asked.is_demonstration and not self.asked.email_url:
            screen.fact("mailbox", f"{url}/dev/mail/")
        mail = (self._health() or {}).get("mail", "ok")
        if mail != "ok":
            screen.fact("mail", mail)
        screen.fact("data", str(self.folder.path))
        screen.fact("logs", str(self.folder.path / "log"))
        if people:
            screen.line()
            screen.line("  Sign in as (these passwords are shown only here):")
            screen.line()
            columns = ("role", "username", "password")
            rows = [[person.get(name, "") for name in columns] for person in people]
            screen.table([["role", "user name", "password"], *rows])
        screen.line()
        screen.line("  Ctrl-C stops everything.")
        screen.line(f"ready: {self.asked.address}")

    def _tell(self, event: str) -> None:
        at = datetime.now(UTC).astimezone().strftime("%H:%M:%S")
        self.screen.line(f"  {at}  {event}")

    # --- Children ------------------------------------------------------------------

    def _child(
        self,
        name: str,
        command: tuple[str, ...],
        descriptors: tuple[int, ...] = (),
        output: Path | None = None,
        stop_seconds: float = 10,
    ) -> Child:
        return Child(
            Program(
                name=name,
                command=command,
                folder=self.folder.run,
                log=self.folder.rotated_log(name),
                record=self.folder.run / f"{name}.pid",
                environment=dict(self._environment),
                descriptors=descriptors,
                output=output,
                stop_seconds=stop_seconds,
            )
        )

    def _start(self, label: str, text: str, service: Service) -> None:
        with self.screen.step(label, text):
            self._begin(service)

    def _begin(self, service: Service) -> None:
        """To be stopped from now on, even if starting is interrupted."""
        self._services.append(service)
        service.start()


def main() -> int:
    """The exit status: 0 after a site that was ready was asked to end."""
    listen()
    screen = Screen()
    try:
        asked = surroundings.read(CHECKOUT)
        with ExitStack() as stack:
            folder = stack.enter_context(embedded.data_folder(asked.data_dir))
            return _run(Site(folder, asked, screen, stack), screen)
    except CannotStart as error:
        screen.refusal(error)
        return 1
    except Interrupted as interruption:
        return interruption.status


def _run(site: Site, screen: Screen) -> int:
    is_ready = False
    try:
        _greet(site, screen)
        site.start()
        is_ready = True
        site.keep()
    except Interrupted as interruption:
        screen.line()
        return 0 if is_ready else interruption.status
    except CannotStart:
        raise
    except Exception as error:
        raise _unexpected(site.folder, error) from error
    finally:
        ignore()
        site.stop()
    return 0


def _greet(site: Site, screen: Screen) -> None:
    kind = "demonstration" if site.asked.is_demonstration else "production"
    screen.heading(f"twitchsite, {kind}")
    screen.line()
    left = embedded.end_all_left(site.folder.run)
    if left:
        screen.fact("cleaned up", f"{', '.join(left)} of an earlier run")
    surroundings.refuse_taken_port(site.asked.port)


def _people(output: Path) -> list[dict[str, str]]:
    """What `demonstrate` printed: one object a person."""
    try:
        return [dict(person) for person in json.loads(output.read_text() or "[]")]
    except (ValueError, TypeError) as error:
        raise CannotStart(
            "`manage.py demonstrate` did not print a JSON list.",
            lines=last_lines(output, 3),
        ) from error


def _command_failed(child: Child) -> CannotStart:
    """Of a traceback only the last line is for people; the log has it all."""
    lines = last_lines(child.program.log, 8)
    if any(line.startswith((" ", "Traceback")) for line in lines):
        lines = [lines[-1].removeprefix("django.core.exceptions.")]
    return CannotStart(
        f"`manage.py {child.name}` {child.ending()}.",
        lines=lines,
        log=child.program.log,
    )


def _ended(service: Service, folder: DataFolder) -> CannotStart:
    return CannotStart(
        f"{service.name} {service.ending()} before the site was ready.",
        lines=service.last_lines(),
        log=folder.log(service.name),
    )


def _unexpected(folder: DataFolder, error: Exception) -> CannotStart:
    if isinstance(error, OSError) and error.errno in DISK_TROUBLE:
        return unwritable(folder.path, error)
    return CannotStart(
        f"Something unexpected: {type(error).__name__}.", log=_write_down(folder)
    )


def _write_down(folder: DataFolder) -> Path:
    """The traceback in hand goes to a log: it helps nobody at a terminal."""
    log = folder.rotated_log("up")
    with suppress(OSError), log.open("a") as file:
        file.write(f"{datetime.now(UTC).isoformat()}\n{traceback.format_exc()}\n")
    return log


def _path_with(checkout: Path) -> str:
    """Children work in a folder of their own, so Python is told where code is."""
    known = os.environ.get("PYTHONPATH", "")
    return os.pathsep.join(part for part in (str(checkout), known) if part)
