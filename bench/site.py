"""The site as `up` runs it, on durable servers, and who asks it many things."""

import http.client
import os
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from io import StringIO
from pathlib import Path
from urllib.parse import urlencode

from bench.stand import ROOT, configure, free_port
from twitchsite import embedded
from twitchsite.up import BEAT, WEB, WORKER

START_SECONDS = 30
# What the proxy before an https site says.
PROXIED = {"Host": "health.example", "X-Forwarded-Proto": "https"}


@contextmanager
def site(*, at_work: bool) -> Iterator[int]:
    """The port of a demonstration's web; `at_work`: with worker and beat as well."""
    with ExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="twitchsite-"))
        services = stack.enter_context(embedded.running(Path(folder), durable=True))
        configure(services, 25, DATA_DIR=folder, DEMO="1")
        _furnish()
        port = free_port()
        log = stack.enter_context((Path(folder) / "web.log").open("wb"))
        stack.enter_context(_running(*WEB, "--port", str(port), log=log.fileno()))
        if at_work:
            beat = (*BEAT, "--schedule", str(Path(folder) / "beat"))
            for command in (WORKER, beat):
                stack.enter_context(_running(*command, log=subprocess.DEVNULL))
        _wait_for(port)
        yield port


def _furnish() -> None:
    from django.core.management import call_command

    for command in ("collectstatic", "demonstrate"):
        options = {"interactive": False} if command == "collectstatic" else {}
        call_command(command, stdout=StringIO(), stderr=StringIO(), **options)


@contextmanager
def _running(*command: str, log: int) -> Iterator[None]:
    process = subprocess.Popen(
        command, cwd=ROOT, env=os.environ, stdout=log, stderr=log
    )
    try:
        yield
    finally:
        process.terminate()
        process.wait()


def _wait_for(port: int) -> None:
    patience_ends = time.monotonic() + START_SECONDS
    while time.monotonic() < patience_ends:
        try:
            if Browser(port).get("/readyz") == 200:
                return
        except OSError:
            pass
        time.sleep(0.2)
    raise TimeoutError("web did not start")


@dataclass(frozen=True)
class Answer:
    status: int
    body: bytes
    seconds: float


class Browser:
    """One kept connection; what it sends came through the proxy."""

    def __init__(self, port: int) -> None:
        self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)

    def get(self, path: str) -> int:
        return self._ask("GET", path, None, {}).status

    def sign_up(self, address: str, *, client: str) -> Answer:
        """Post the box from the IP address `client`."""
        headers = {
            "Content-Type": "application/x-www-form-urlencoded",
            "X-Forwarded-For": client,
        }
        body = urlencode({"email": address, "subject": ""})
        return self._ask("POST", "/newsletter/", body, headers)

    def _ask(
        self, method: str, path: str, body: str | None, headers: dict[str, str]
    ) -> Answer:
        begun = time.perf_counter()
        self._connection.request(method, path, body, {**PROXIED, **headers})
        answer = self._connection.getresponse()
        read = answer.read()
        return Answer(answer.status, read, time.perf_counter() - begun)
