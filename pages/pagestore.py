"""In front of Django: public pages that are ready, in each web process.

What is kept was made for a request of our own: no reader's cookie, header or address
can be in it, so it is the same for everybody, staff included.
"""

import sys
from collections.abc import Callable, Iterable
from functools import lru_cache
from io import BytesIO
from threading import Event, Lock, Thread
from time import monotonic, time
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

import structlog
from django.conf import settings
from django.core.handlers.wsgi import get_path_info
from django.db import DatabaseError, connections
from django.http.request import split_domain_port, validate_host
from django.urls import Resolver404, resolve

from pages.polling import Poller
from pages.ready import Answer, Environ, Headers, Page, StartResponse, page
from pages.shelf import Shelf

log = structlog.get_logger(__name__)

# Which views' pages are kept, and the query keys that make one page another. Everything
# else passes through; tests/pages/test_kept.py asks about each address of the site.
KEPT: dict[str, tuple[str, ...]] = {
    "pages:home": (),
    "pages:trust": (),
    "pages:about": (),
    "pages:robots": (),
    "pages:sitemap": (),
    "pages:llms": (),
    "articles:section": (),
    "articles:article": (),
    "articles:markdown": (),
    "articles:policy": (),
    "articles:review-record": (),
    "articles:signed-text": (),
    "articles:signed-changes": (),
    "articles:picture": (),
    "articles:feed": (),
    "newsletter:subscribe": (),
    "newsletter:preferences-link": (),
}
FRESH_SECONDS = 300.0
# What was just published or signed has another host's time, which may be ahead of ours:
# a page made sooner after a change is made once more.
SETTLING_SECONDS = 5.0
METHODS = {"GET", "HEAD"}
# Nobody waits longer for another one's rendering.
PATIENCE_SECONDS = 10.0
# How long the first request waits to learn the version.
FIRST_ANSWER_SECONDS = 1.0
WARM_SECONDS = 10.0

Application = Callable[[Environ, Any], Iterable[bytes]]


class Rendering:
    """One asks Django; who wants the same page meanwhile waits for the answer."""

    def __init__(self) -> None:
        self.done = Event()
        self.answer: Answer | Page | None = None


class PageStore:
    """`addresses` says which pages to make before anybody asks for them."""

    def __init__(
        self,
        application: Application,
        *,
        most_bytes: int,
        poller: Poller | None = None,
        addresses: Callable[[], Iterable[str]] = tuple,
    ) -> None:
        self.shelf = Shelf(most_bytes)
        self._application = application
        self._poller = poller or Poller()
        self._addresses = addresses
        self._renderings: dict[str, Rendering] = {}
        self._lock = Lock()
        self._is_awake = False

    def __call__(
        self, environ: Environ, start_response: StartResponse
    ) -> Iterable[bytes]:
        path, query = environ["PATH_INFO"], environ["QUERY_STRING"]
        # A hit is looked for before anything else is asked of the request.
        ready = self.shelf.get(_address(path, query))
        if (
            ready is not None
            and "HTTP_COOKIE" not in environ
            and self._is_fresh(ready)
            and is_asked_of_us(environ)
        ):
            return ready.send(environ, start_response)
        self._wake()
        if not (is_asked_of_us(environ) and is_kept(get_path_info(environ), query)):
            return self._application(environ, start_response)
        if "HTTP_COOKIE" in environ:
            # Whoever has just published is to find it, at once and in every process.
            self._poller.ask_now()
        return self._made(path, query).send(environ, start_response)

    def _is_fresh(self, ready: Page) -> bool:
        """While the database is away the copy at hand is the best there is."""
        if self._poller.is_away():
            return True
        return ready.version == self._poller.number and time() < ready.fresh_until

    def _made(self, path: str, query: str) -> Answer | Page:
        """The ready page, or whatever Django says instead; one asks for all."""
        address = _address(path, query)
        patience_ends = monotonic() + PATIENCE_SECONDS
        while True:
            ready = self.shelf.get(address)
            if ready is not None and self._is_fresh(ready):
                return ready
            rendering, is_mine = self._join(address)
            if is_mine:
                return self._render(rendering, path, query)
            if not rendering.done.wait(patience_ends - monotonic()):
                return ready or self._ask(path, query)
            if rendering.answer is not None:
                return rendering.answer

    def _join(self, address: str) -> tuple[Rendering, bool]:
        with self._lock:
            if address in self._renderings:
                return self._renderings[address], False
            self._renderings[address] = Rendering()
            return self._renderings[address], True

    def _render(self, rendering: Rendering, path: str, query: str) -> Answer | Page:
        try:
            made = self.make(path, query)
            if isinstance(made, Page) or _can_be_shared(made):
                rendering.answer = made
            return made
        finally:
            with self._lock:
                del self._renderings[_address(path, query)]
            rendering.done.set()

    def make(self, path: str, query: str = "") -> Answer | Page:
        """Ask Django, whatever is there, and keep what may be kept."""
        address = _address(path, query)
        # Known before the rendering: what changes meanwhile makes it old, not missed.
        version, asked_at = self._poller.number, time()
        answer = self._ask(path, query)
        if answer.code == 200 and answer.is_for_everybody():
            made = page(
                answer,
                version=version,
                asked_at=asked_at,
                fresh_until=self._at_the_latest(asked_at),
            )
            self.shelf.put(address, made)
            return made
        if answer.code == 503 and (old := self.shelf.get(address)) is not None:
            return old
        if answer.code != 503:
            # Withdrawn, moved or broken: what was there must not come back.
            self.shelf.drop(address)
        return answer

    def _at_the_latest(self, asked_at: float) -> float:
        settled_at = self._poller.changed_at + SETTLING_SECONDS
        return settled_at if asked_at < settled_at else asked_at + FRESH_SECONDS

    def _ask(self, path: str, query: str) -> Answer:
        said: list[tuple[str, Headers]] = []

        def start_response(status: str, headers: Headers, *_: object) -> None:
            said.append((status, headers))

        chunks = self._application(own_request(path, query), start_response)
        try:
            body = b"".join(chunks)
        finally:
            if hasattr(chunks, "close"):
                chunks.close()
        status, headers = said[-1]
        return Answer(status, headers, body)

    def _wake(self) -> None:
        """Threads start with the first request: by then the server has forked."""
        if self._is_awake:
            return
        with self._lock:
            if self._is_awake:
                return
            self._is_awake = True
            self._poller.start()
        self._poller.ask_now(FIRST_ANSWER_SECONDS)
        Thread(target=self._warm, name="warm pages", daemon=True).start()

    def _warm(self) -> None:
        """Make the site's pages while there is a database, within a bounded time."""
        ends = monotonic() + WARM_SECONDS
        try:
            for address in self._addresses():
                if monotonic() > ends or self._poller.is_away():
                    return
                self._made(address, "")
        except DatabaseError:
            log.warning("pages could not be made in advance")
        finally:
            connections.close_all()


def _address(path: str, query: str) -> str:
    return f"{path}?{query}" if query else path


def _can_be_shared(answer: Answer) -> bool:
    """Not an error of ours: then the next one tries."""
    return answer.code < 500 and answer.is_for_everybody()


def is_asked_of_us(environ: Environ) -> bool:
    """Reading, at our own address, as secure as it has to be; Django refuses others."""
    return (
        environ["REQUEST_METHOD"] in METHODS
        and _is_own_host(environ.get("HTTP_HOST", ""))
        and (
            not settings.SECURE_SSL_REDIRECT
            or environ.get("HTTP_X_FORWARDED_PROTO") == "https"
        )
    )


@lru_cache(maxsize=64)
def _is_own_host(host: str) -> bool:
    domain, _ = split_domain_port(host)
    return bool(domain) and validate_host(domain, settings.ALLOWED_HOSTS)


def is_kept(path: str, query: str) -> bool:
    """Whether a page at this address may be kept, if it turns out to be one."""
    try:
        keys = KEPT.get(resolve(path).view_name)
    except Resolver404:
        return False
    if keys is None or not query:
        return keys is not None
    pairs = parse_qsl(query, keep_blank_values=True)
    names = [name for name, _ in pairs]
    # One spelling of each: as our own links have it.
    return set(names) <= set(keys) and query == urlencode(sorted(dict(pairs).items()))


def own_request(path: str, query: str) -> Environ:
    """What the page is made for: nothing in it is anybody's but the address."""
    own = urlsplit(settings.SITE_URL)
    return {
        "REQUEST_METHOD": "GET",
        "SCRIPT_NAME": "",
        "PATH_INFO": path,
        "QUERY_STRING": query,
        "SERVER_NAME": own.hostname,
        "SERVER_PORT": str(own.port or (443 if own.scheme == "https" else 80)),
        "SERVER_PROTOCOL": "HTTP/1.1",
        "REMOTE_ADDR": "127.0.0.1",
        "HTTP_HOST": own.netloc,
        "HTTP_X_FORWARDED_PROTO": own.scheme,
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": own.scheme,
        "wsgi.input": BytesIO(),
        "wsgi.errors": sys.stderr,
        "wsgi.multithread": True,
        "wsgi.multiprocess": True,
        "wsgi.run_once": False,
    }
