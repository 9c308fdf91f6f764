"""An answer that is ready to be sent: each coding's headers and bytes, made once."""

import gzip
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from functools import lru_cache
from hashlib import sha256
from typing import Any

import brotli

Environ = dict[str, Any]
Headers = list[tuple[str, str]]
StartResponse = Callable[[str, Headers], Any]

# Browsers ask every time, which costs them a 304. A cache in between may answer for
# five seconds, and five more while it asks, so that a text taken back is gone from
# there in ten; if the site can't answer, for an hour.
PUBLIC = "public, max-age=0, s-maxage=5, stale-while-revalidate=5, stale-if-error=3600"
# Said anew for each coding, or by us alone.
OURS = {"cache-control", "content-length", "etag", "expires", "vary"}
OF_A_BODY = {"content-type", "content-length", "content-encoding"}
COMPRESSIBLE = ("text/", "application/", "image/svg+xml")
# A page of 25 kB takes 1 ms and is 3 % longer than with 11, which takes 50.
BROTLI_QUALITY = 5
GZIP_LEVEL = 6
# Besides its bytes: headers, keys, objects.
OVERHEAD = 6_000
# `Expires` knows whole seconds only, and one page a second is little work.
FRESH_SECONDS_AT_LEAST = 1.0


@dataclass(frozen=True, slots=True)
class Answer:
    """What Django answered, to be sent as it is."""

    status: str
    headers: Headers
    body: bytes

    @property
    def code(self) -> int:
        return int(self.status[:3])

    def header(self, name: str) -> str:
        """All that it says under this name; "" if nothing."""
        return ", ".join(value for key, value in self.headers if key.lower() == name)

    def is_for_everybody(self) -> bool:
        """Nothing in it is one person's, or only for now."""
        control = self.header("cache-control").lower()
        return (
            not self.header("set-cookie")
            and "private" not in control
            and "no-store" not in control
            and not {"cookie", "*"} & set(listed(self.header("vary")))
        )

    def send(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        start_response(self.status, self.headers)
        return [] if environ["REQUEST_METHOD"] == "HEAD" else [self.body]


@dataclass(frozen=True, slots=True)
class Coded:
    etag: str
    headers: Headers
    headers_without_body: Headers
    body: bytes


@dataclass(frozen=True, slots=True)
class Page:
    """An answer for everybody, of one version; old from `fresh_until` (epoch) on."""

    version: int | None
    fresh_until: float
    # By what a browser prefers; one that does not make it shorter is not there.
    codings: dict[str, Coded]
    size: int

    def send(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        """The representation that is asked for, or 304 to whom it has (RFC 9110)."""
        prefers = preferred(environ.get("HTTP_ACCEPT_ENCODING", ""))
        coded = self.codings.get(prefers) or self.codings[""]
        known = environ.get("HTTP_IF_NONE_MATCH")
        if known is not None and is_named(coded.etag, known):
            start_response("304 Not Modified", coded.headers_without_body)
            return []
        start_response("200 OK", coded.headers)
        return [] if environ["REQUEST_METHOD"] == "HEAD" else [coded.body]


def page(
    answer: Answer, *, version: int | None, asked_at: float, fresh_until: float
) -> Page:
    """`answer` made ready; its view may say by `Expires` that it changes sooner."""
    digest = sha256(answer.body).hexdigest()[:32]
    common = [
        (name, value) for name, value in answer.headers if name.lower() not in OURS
    ]
    common.append(("Cache-Control", answer.header("cache-control") or PUBLIC))
    bodies = _codings(answer)
    if len(bodies) > 1:
        varies = [*listed(answer.header("vary")), "Accept-Encoding"]
        common.append(("Vary", ", ".join(varies)))
    codings = {
        name: _coded(name, body, common, f'"{digest}{"-" if name else ""}{name}"')
        for name, body in bodies.items()
    }
    size = OVERHEAD + sum(len(one.body) for one in codings.values())
    return Page(version, min(fresh_until, _changes_at(answer, asked_at)), codings, size)


def _codings(answer: Answer) -> dict[str, bytes]:
    body = answer.body
    found = {"": body}
    if answer.header("content-type").startswith(COMPRESSIBLE):
        found["br"] = brotli.compress(body, quality=BROTLI_QUALITY)
        found["gzip"] = gzip.compress(body, GZIP_LEVEL, mtime=0)
    return {
        name: coded
        for name, coded in found.items()
        if not name or len(coded) < len(body)
    }


def _coded(name: str, body: bytes, common: Headers, etag: str) -> Coded:
    headers = [*common, ("ETag", etag), ("Content-Length", str(len(body)))]
    if name:
        headers.append(("Content-Encoding", name))
    bare = [one for one in headers if one[0].lower() not in OF_A_BODY]
    return Coded(etag, headers, bare, body)


def _changes_at(answer: Answer, asked_at: float) -> float:
    """When the page changes by itself, as its view says."""
    try:
        said = parsedate_to_datetime(answer.header("expires")).timestamp()
    except ValueError:
        return float("inf")
    return max(said, asked_at + FRESH_SECONDS_AT_LEAST)


def listed(value: str) -> list[str]:
    """The members of a header's list, in lower case."""
    return [one for part in value.lower().split(",") if (one := part.strip())]


def is_named(etag: str, known: str) -> bool:
    """Weak comparison (RFC 9110 section 13.1.2): a proxy may have made it weak."""
    names = [one.strip().removeprefix("W/") for one in known.split(",")]
    return etag in names or names == ["*"]


@lru_cache(maxsize=512)
def preferred(accepted: str) -> str:
    """br or gzip where `Accept-Encoding` allows it, br first; "" for neither."""
    weights = dict(map(_weighed, listed(accepted)))
    for name in ("br", "gzip"):
        if weights.get(name, weights.get("*", 0.0)) > 0:
            return name
    return ""


def _weighed(member: str) -> tuple[str, float]:
    """`gzip;q=0.5` as its name and weight; nonsense weighs nothing."""
    name, _, parameter = member.partition(";")
    weight = parameter.strip().removeprefix("q=")
    try:
        return name.strip(), float(weight) if parameter else 1.0
    except ValueError:
        return name.strip(), 0.0
