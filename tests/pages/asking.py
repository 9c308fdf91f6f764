"""The page store in front of an application that tests can steer."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from email.message import Message
from typing import Any

from pages.pagestore import PageStore
from pages.polling import Poller
from pages.ready import Environ, Headers

HTML = ("Content-Type", "text/html; charset=utf-8")
ARTICLE = "/articles/muscle-twitching/"
TEXT = b"<p>Rest your eyes for a while.</p>" * 100


class Told(Poller):
    """A version that a test sets, instead of a thread that asks PostgreSQL."""

    def __init__(self) -> None:
        super().__init__()
        self.number: int | None = 1
        self.away = False
        self.asked = 0

    def start(self) -> None: ...

    def is_away(self) -> bool:
        return self.away

    def ask_now(self, patience_seconds: float = 0) -> None:
        self.asked += 1


@dataclass
class Django:
    """Answers as it is told, and remembers what it was asked."""

    body: bytes = TEXT
    status: str = "200 OK"
    headers: Headers = field(default_factory=lambda: [HTML])
    asked: list[Environ] = field(default_factory=list)
    before: Callable[[], object] = lambda: None

    def __call__(self, environ: Environ, start_response: Any) -> Iterable[bytes]:
        self.asked.append(environ)
        self.before()
        start_response(self.status, list(self.headers))
        return [self.body]


@dataclass(frozen=True)
class Got:
    status: int
    headers: Message
    body: bytes


def ask(
    store: Callable[[Environ, Any], Iterable[bytes]],
    path: str = ARTICLE,
    *,
    method: str = "GET",
    query: str = "",
    **headers: str,
) -> Got:
    """What a browser gets; `headers` are WSGI's, such as HTTP_COOKIE."""
    said = Message()
    status = ""

    def start_response(line: str, pairs: Headers, *_: object) -> None:
        nonlocal status
        status = line
        for name, value in pairs:
            said[name] = value

    environ = {
        "REQUEST_METHOD": method,
        "PATH_INFO": path,
        "QUERY_STRING": query,
        "HTTP_HOST": "health.example",
        "HTTP_X_FORWARDED_PROTO": "https",
        **headers,
    }
    body = b"".join(store(environ, start_response))
    return Got(int(status[:3]), said, body)


def made(
    django: Django, poller: Poller | None = None, *, most_bytes: int = 10**7
) -> PageStore:
    return PageStore(django, most_bytes=most_bytes, poller=poller or Told())
