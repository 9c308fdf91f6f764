"""What the benches stand on: durable servers, a sink, recipients, one tip."""

import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from twitchsite import embedded

if TYPE_CHECKING:
    from mail import Batch

ROOT = Path(__file__).resolve().parent.parent


def say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def missing() -> str:
    """Why this machine can't run the benches; "" if it can."""
    for tool in ("smtp-sink", "smtp-source"):
        if not found(tool):
            return f"{tool} is missing (Debian's package postfix)"
    cores = os.cpu_count() or 1
    return "" if cores >= 2 else "2 cores are needed"


def found(tool: str) -> str | None:
    return shutil.which(tool, path=f"{os.environ['PATH']}:/usr/sbin")


@contextmanager
def standing(**settings: str) -> Iterator[tuple[embedded.Services, int]]:
    """Migrated databases with fsync on, and the port of a sink; gone afterwards."""
    with (
        tempfile.TemporaryDirectory(prefix="twitchsite-bench-") as folder,
        embedded.running(Path(folder), durable=True) as services,
        sink() as port,
    ):
        configure(services, port, DATA_DIR=folder, **settings)
        yield services, port


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as free:
        return int(free.getsockname()[1])


@contextmanager
def sink() -> Iterator[int]:
    """A server that accepts everything and keeps nothing; its port."""
    port = free_port()
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


def configure(services: embedded.Services, port: int, **settings: str) -> None:
    """The site's own settings on the bench's servers."""
    os.environ |= {
        "DJANGO_SETTINGS_MODULE": "twitchsite.settings",
        "PYTHONPATH": str(ROOT),
        "SITE_URL": "https://health.example",
        "SECRET_KEY": "bench only",
        "CONSENT_KEY": "bench only",
        "DATABASE_URL": services.application_url(),
        "MIGRATION_DATABASE_URL": services.owner_url(),
        "REDIS_URL": services.redis_url(),
        "EMAIL_URL": f"smtp://127.0.0.1:{port}",
        "MAIL_FROM": "twitchsite <tips@health.example>",
        "CONTACT_EMAIL": "hello@health.example",
        "POSTAL_ADDRESS": "1 Bench Street",
        "LOG_LEVEL": "WARNING",
        **settings,
    }
    import django

    django.setup()
    from django.core.management import call_command

    call_command("migrate", verbosity=0)


def recipients(first: int, last: int) -> None:
    """People who may be mailed, numbered `first` to `last`."""
    from django.db import connection

    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO mail_recipient (address, may_receive, suppression) "
            "SELECT 'p' || n || '@example.com', true, '' "
            "FROM generate_series(%s, %s) AS n",
            [first, last],
        )


def tip_for_everybody() -> "Batch":
    """A running batch of about 13 kB a message, due now."""
    from django.utils import timezone

    from mail import Recipient, TipMail, start_batch
    from mail.building import UNSUBSCRIBE

    line = f"<p>{'Rest your eyes for a while. ' * 10}</p>\n"
    html = (
        f'<html lang="en"><body>{line * 44}<a href="{UNSUBSCRIBE}">x</a></body></html>'
    )
    batch = start_batch(
        name="bench",
        mail=TipMail("Rest your eyes", html, f"Rest.\nLeave: {UNSUBSCRIBE}"),
        recipients=Recipient.objects.filter(may_receive=True),
        due_at=timezone.now(),
    )
    assert batch is not None, "there are recipients"
    return batch
