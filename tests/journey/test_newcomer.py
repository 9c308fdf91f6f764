"""What a newcomer gets: the whole site, started as the README says, walked by HTTP.

Real servers all along: granian, a Celery worker and beat, PostgreSQL, Valkey and an
SMTP mailbox. Nothing is mocked and nothing runs eagerly.
"""

import email
import email.policy
import html
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from email.message import EmailMessage, Message
from pathlib import Path
from typing import TypeVar

import httpx
import pytest

from twitchsite.embedded.places import POINTER

ROOT = Path(__file__).resolve().parents[2]
READY_WITHIN = 120
MAIL_WITHIN = 60
T = TypeVar("T")
pytestmark = pytest.mark.journey
ROSA = "rosa@example.com"


class Site:
    """A running demonstration and what it printed."""

    def __init__(self, folder: Path, port: int) -> None:
        self.folder = folder
        self.url = f"http://127.0.0.1:{port}"
        own = ("DATABASE_URL", "REDIS_URL", "EMAIL_URL", "SITE_URL", "SECRET_KEY")
        environment = {k: v for k, v in os.environ.items() if k not in own}
        for name in ("CONSENT_KEY", "MIGRATION_DATABASE_URL", "DJANGO_SETTINGS_MODULE"):
            environment.pop(name, None)
        environment |= {
            "PORT": str(port),
            "DATA_DIR": str(folder),
            "DEMO_TIP_EVERY": "5",
        }
        self._output = folder.with_name("printed")
        with self._output.open("wb") as output:
            self.process = subprocess.Popen(
                [sys.executable, str(ROOT / "manage.py"), "up"],
                env=environment,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )
        self._until_ready()

    @property
    def printed(self) -> str:
        return self._output.read_text()

    def _until_ready(self) -> None:
        ends = time.monotonic() + READY_WITHIN
        while "\nready: " not in self.printed:
            if self.process.poll() is not None or time.monotonic() > ends:
                pytest.fail("the site did not get ready:\n" + self.printed)
            time.sleep(0.1)

    def mails(self) -> list[EmailMessage]:
        """Everything in the mailbox, oldest first."""
        paths = sorted(
            (self.folder / "mail").glob("*.eml"), key=lambda path: int(path.stem)
        )
        found = [_parsed(path.read_bytes()) for path in paths]
        return [one for one in found if isinstance(one, EmailMessage)]

    def stop(self) -> None:
        """End it and take away what it left: as root its servers lived elsewhere."""
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(60)
        pointer = self.folder / POINTER
        if pointer.exists():
            shutil.rmtree(pointer.read_text().strip())
            pointer.unlink()


def _parsed(raw: bytes) -> EmailMessage | Message:
    return email.message_from_bytes(raw, policy=email.policy.default)


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as free:
        return int(free.getsockname()[1])


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    running = Site(tmp_path_factory.mktemp("site") / "var", free_port())
    try:
        yield running
    finally:
        running.stop()


@pytest.fixture
def reader(site: Site) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=site.url, timeout=10) as client:
        yield client


def wait_for(find: Callable[[], T | None], what: str) -> T:
    ends = time.monotonic() + MAIL_WITHIN
    while time.monotonic() < ends:
        if found := find():
            return found
        time.sleep(0.2)
    pytest.fail(f"{what} did not come within {MAIL_WITHIN} s")


def text_of(mail: EmailMessage) -> str:
    body = mail.get_body(("plain",))
    assert body is not None
    return str(body.get_content())


def test_a_newcomer_reads_subscribes_confirms_and_gets_a_tip(
    site: Site, reader: httpx.Client
) -> None:
    home = reader.get("/")
    assert home.status_code == 200
    assert 'href="/articles/muscle-twitching/"' in home.text

    article = reader.get("/articles/muscle-twitching/")
    assert "Demonstration only: not medically reviewed" in article.text
    assert 'href="#causes"' in article.text
    assert 'id="ref-1"' in article.text
    assert article.headers.get("set-cookie") is None

    elsewhere = {"Origin": "https://elsewhere.example"}
    forged = reader.post("/newsletter/", data={"email": ROSA}, headers=elsewhere)
    assert forged.status_code == 403

    wrong = reader.post("/newsletter/", data={"email": "rosa@"})
    assert wrong.status_code == 422
    assert 'value="rosa@"' in wrong.text

    asked = reader.post(
        "/newsletter/", data={"email": ROSA}, headers={"Origin": site.url}
    )
    assert asked.status_code == 200
    confirmation = wait_for(lambda: next(iter(site.mails()), None), "the confirmation")
    assert confirmation["To"] == ROSA
    link = re.search(r"http\S+/newsletter/confirm/\S+/", text_of(confirmation))
    assert link is not None

    assert "<button" in reader.get(link[0]).text
    time.sleep(6)
    assert len(site.mails()) == 1, "looking at the link must not confirm"
    assert "You are on the list" in reader.post(link[0]).text

    tip = wait_for(lambda: next(iter(site.mails()[1:]), None), "the first tip")
    one_click = tip["List-Unsubscribe"].strip("<>")
    assert tip["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
    assert "Demonstration only: not medically reviewed." in text_of(tip)
    assert tip.get_body(("html",)) is not None
    assert tip["Subject"] in html.unescape(reader.get("/dev/mail/").text)

    left = reader.post(one_click, data={"List-Unsubscribe": "One-Click"})
    assert left.status_code == 200
    assert left.headers.get("location") is None
    time.sleep(1)
    received = len(site.mails())
    time.sleep(11)
    assert len(site.mails()) == received, "no tip may come after leaving"

    logs = "".join(path.read_text() for path in (site.folder / "log").glob("*.log"))
    assert "rosa" not in logs
    assert link[0].split("/")[-2] not in logs


@pytest.mark.parametrize(
    "role", ["editor", "clinician", "newsletter manager", "operator"]
)
def test_the_printed_passwords_open_the_admin(
    site: Site, reader: httpx.Client, role: str
) -> None:
    row = re.search(rf"^ *{role} +(\S+) +(\S+)$", site.printed, re.MULTILINE)
    assert row is not None
    page = reader.get("/admin/login/")
    token = re.search(r'name="csrfmiddlewaretoken" value="([^"]+)"', page.text)
    assert token is not None

    answer = reader.post(
        "/admin/login/",
        data={
            "csrfmiddlewaretoken": token[1],
            "username": row[1],
            "password": row[2],
            "next": "/admin/",
        },
        headers={"Referer": f"{site.url}/admin/login/", "Origin": site.url},
        follow_redirects=True,
    )

    assert answer.status_code == 200
    assert "Site administration" in answer.text


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/", 200),
        ("/articles/muscle-twitching/", 200),
        ("/articles/muscle-twitching/review/", 200),
        ("/about/terms/", 200),
        ("/newsletter/", 200),
        ("/trust/", 200),
        ("/admin/", 302),
        ("/admin/login/", 200),
        ("/nothing-here/", 404),
        ("/static/css/site.css", 200),
    ],
)
def test_w4_every_answer_carries_the_security_headers(
    reader: httpx.Client, path: str, status: int
) -> None:
    answer = reader.get(path)

    assert answer.status_code == status
    assert answer.headers["Cross-Origin-Opener-Policy"] == "same-origin"
    assert answer.headers["Cross-Origin-Resource-Policy"] == "same-origin"
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert answer.headers["Referrer-Policy"] == "same-origin"
    assert "camera=()" in answer.headers["Permissions-Policy"]
    policy = answer.headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy


def test_every_link_of_the_public_pages_leads_somewhere(
    site: Site, reader: httpx.Client
) -> None:
    waiting, seen, dead = ["/"], set[str](), []
    while waiting:
        path = waiting.pop()
        if path in seen or path.startswith(("/admin", "/dev/mail/", "/static/")):
            continue
        seen.add(path)
        answer = reader.get(path)
        if answer.status_code != 200:
            dead.append(f"{path}: {answer.status_code}")
            continue
        links = re.findall(r'(?:href|src)="(/[^"#?]*)', answer.text)
        waiting += [html.unescape(link) for link in links if not link.startswith("//")]
    assert dead == []
    assert len(seen) > 20
