"""Tips from rows to accepted, against postfix's smtp-source to the same sink.

    python -m bench.sending [messages]

Alternates the two so that a noisy machine disturbs both alike; prints medians. The
databases are durable (fsync on); servers, sink and sources run on loopback and end with
this process.
"""

import os
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from twitchsite import embedded

PROCESSES = 2
CONNECTIONS = 8
ROUNDS = 3
WINDOWS = (1, 10)
MESSAGE_BYTES = 13_000
ROOT = Path(__file__).resolve().parent.parent


def say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def missing() -> str:
    """Why this machine can't run the comparison; "" if it can."""
    for tool in ("smtp-sink", "smtp-source"):
        if not found(tool):
            return f"{tool} is missing (Debian's package postfix)"
    cores = os.cpu_count() or 1
    return "" if cores >= 2 else "2 cores are needed"


def found(tool: str) -> str | None:
    return shutil.which(tool, path=f"{os.environ['PATH']}:/usr/sbin")


@contextmanager
def sink() -> Iterator[int]:
    """A server that accepts everything and keeps nothing; its port."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = int(free.getsockname()[1])
    privileges = ["-u", "nobody"] if os.geteuid() == 0 else []
    command = [str(found("smtp-sink")), *privileges, f"127.0.0.1:{port}", "512"]
    process = subprocess.Popen(command)
    try:
        _wait_for(port)
        yield port
    finally:
        process.terminate()
        process.wait()


def _wait_for(port: int) -> None:
    for _ in range(100):
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            time.sleep(0.05)
        else:
            return
    raise TimeoutError("smtp-sink did not start")


def source_rate(port: int, messages: int) -> float:
    """What smtp-source hands over in a second with as many connections."""
    sessions = str(PROCESSES * CONNECTIONS)
    begun = time.monotonic()
    subprocess.run(
        [
            *(str(found("smtp-source")), "-d", "-s", sessions, "-m", str(messages)),
            *("-l", str(MESSAGE_BYTES), "-f", "a@example.com", "-t", "b@example.com"),
            f"127.0.0.1:{port}",
        ],
        check=True,
    )
    return messages / (time.monotonic() - begun)


def site_rate(port: int, messages: int, window: int) -> float:
    """What the site hands over in a second, from queued rows to accepted ones."""
    from django.utils import timezone

    from mail import Delivery, Recipient, TipMail, start_batch
    from mail.building import UNSUBSCRIBE

    line = f"<p>{'Rest your eyes for a while. ' * 10}</p>\n"
    html = (
        f'<html lang="en"><body>{line * 44}<a href="{UNSUBSCRIBE}">x</a></body></html>'
    )
    tip = TipMail("Rest your eyes", html, f"Rest.\nLeave: {UNSUBSCRIBE}")
    batch = start_batch(
        name="bench",
        mail=tip,
        recipients=Recipient.objects.all(),
        due_at=timezone.now(),
    )
    assert batch is not None, "there are recipients"
    senders = [_sender(port, window) for _ in range(PROCESSES)]
    for one in senders:
        assert one.stdout is not None
        assert one.stdout.readline() == "ready\n"
    begun = time.monotonic()
    for one in senders:
        assert one.stdin is not None
        one.stdin.write("\n")
        one.stdin.flush()
    for one in senders:
        one.communicate()
    seconds = time.monotonic() - begun
    accepted = batch.deliveries.filter(state=Delivery.State.ACCEPTED).count()
    assert accepted == messages, f"{accepted} of {messages} were accepted"
    return messages / seconds


def _sender(port: int, window: int) -> subprocess.Popen[str]:
    environment = {
        **os.environ,
        "EMAIL_URL": f"smtp://127.0.0.1:{port}",
        "HANDOVER_WINDOW": str(window),
        "LOG_LEVEL": "WARNING",
    }
    return subprocess.Popen(
        [sys.executable, "-m", "bench.sender", str(CONNECTIONS)],
        cwd=ROOT,
        env=environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


def prepare(messages: int) -> None:
    """A migrated database with as many recipients as messages."""
    import django

    django.setup()
    from django.core.management import call_command
    from django.db import connection

    call_command("migrate", verbosity=0)
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO mail_recipient (address, may_receive, suppression) "
            "SELECT 'p' || n || '@example.com', true, '' "
            "FROM generate_series(1, %s) AS n",
            [messages],
        )


def main(messages: int) -> None:
    if why_not := missing():
        say(f"sending: skipped, {why_not}")
        return
    with (
        tempfile.TemporaryDirectory(prefix="twitchsite-bench-") as folder,
        embedded.running(Path(folder), durable=True) as services,
        sink() as port,
    ):
        configure(services)
        prepare(messages)
        rates: dict[str, list[float]] = {}
        for _ in range(ROUNDS):
            rates.setdefault("smtp-source", []).append(source_rate(port, messages))
            for window in WINDOWS:
                rate = site_rate(port, messages, window)
                rates.setdefault(f"window {window}", []).append(rate)
        report(
            messages, {name: statistics.median(all_) for name, all_ in rates.items()}
        )


def configure(services: embedded.Services) -> None:
    """The site's own settings on the bench's servers."""
    os.environ |= {
        "DJANGO_SETTINGS_MODULE": "twitchsite.settings",
        "SITE_URL": "https://health.example",
        "SECRET_KEY": "bench only",
        "CONSENT_KEY": "bench only",
        "DATABASE_URL": services.application_url(),
        "MIGRATION_DATABASE_URL": services.owner_url(),
        "REDIS_URL": services.redis_url(),
        "EMAIL_URL": "smtp://127.0.0.1:25",
        "MAIL_FROM": "twitchsite <tips@health.example>",
        "CONTACT_EMAIL": "hello@health.example",
        "POSTAL_ADDRESS": "1 Bench Street",
    }


def report(messages: int, medians: dict[str, float]) -> None:
    limit = medians["smtp-source"]
    say(
        f"{messages:,} messages of {MESSAGE_BYTES:,} octets, "
        f"{PROCESSES * CONNECTIONS} connections, median of {ROUNDS}"
    )
    for name, rate in medians.items():
        say(f"  {name:12} {rate:8,.0f} messages/s   {rate / limit:5.2f} of smtp-source")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 100_000)
