"""What every answer carries, and who may change something."""

import codecs
from collections.abc import Callable
from ipaddress import ip_address
from typing import Any
from urllib.parse import urlsplit

from django.conf import settings
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import render

Answer = Callable[[HttpRequest], HttpResponseBase]

SAFE_METHODS = {"GET", "HEAD", "OPTIONS", "TRACE"}
HEADERS = {
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "Permissions-Policy": (
        "accelerometer=(), camera=(), display-capture=(), geolocation=(), "
        "gyroscope=(), magnetometer=(), microphone=(), payment=(), usb=(), "
        "browsing-topics=(), interest-cohort=()"
    ),
}


class SecurityHeaders:
    """Outermost: errors, redirects and static files carry the headers too."""

    def __init__(self, get_response: Answer) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        response = self.get_response(request)
        for name, value in HEADERS.items():
            response.headers.setdefault(name, value)
        return response


class ClientAddress:
    """Makes REMOTE_ADDR the client's own address behind TRUSTED_PROXIES proxies.

    Each of them appends to X-Forwarded-For whom it was asked by, so the client stands
    that many places from the end; what is left of it, the client may have made up.
    """

    def __init__(self, get_response: Answer) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        if told := _client(request):
            request.META["REMOTE_ADDR"] = told
        return self.get_response(request)


def _client(request: HttpRequest) -> str:
    """Whom the outermost of our proxies was asked by; "" if it does not say."""
    chain = request.headers.get("X-Forwarded-For", "").split(",")
    place = settings.TRUSTED_PROXIES
    entry = chain[-place].strip() if 0 < place <= len(chain) else ""
    try:
        return str(ip_address(_without_port(entry)))
    except ValueError:
        return ""


def _without_port(entry: str) -> str:
    """The address in `192.0.2.1:4711` or `[2001:db8::1]:4711`, as some write it."""
    if entry.startswith("["):
        return entry[1:].partition("]")[0]
    return entry.partition(":")[0] if entry.count(":") == 1 else entry


class BodyLimit:
    """Refuses a body that no form of ours can fill, before anybody reads it.

    Editors paste long texts and upload pictures; a reader's form holds a line or two.
    """

    PUBLIC_BYTES = 1024 * 1024
    STAFF_PATH = "/admin/"

    def __init__(self, get_response: Answer) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        staff = request.path.startswith(self.STAFF_PATH)
        most = settings.DATA_UPLOAD_MAX_MEMORY_SIZE if staff else self.PUBLIC_BYTES
        if _length(request) > most:
            return render(request, "413.html", status=413)
        return self.get_response(request)


def _length(request: HttpRequest) -> int:
    told = str(request.META.get("CONTENT_LENGTH", ""))
    return int(told) if told.isdecimal() else 0


class ReadableQuery:
    """Refuses a NUL in the query: PostgreSQL's texts hold none, and nobody types it."""

    def __init__(self, get_response: Answer) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        if "%00" in request.META.get("QUERY_STRING", ""):
            return render(request, "400.html", status=400)
        return self.get_response(request)


class ReadableBody:
    """Refuses a body in a charset that no browser sends our forms in.

    Django decodes parts of a form with whatever codec of Python's is named, `zip` and
    `idna` among them, and falls over what these raise.
    """

    CHARSETS = ("utf-8", "ascii", "iso8859-1")

    def __init__(self, get_response: Answer) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        named = (request.content_params or {}).get("charset", "utf-8")
        if _codec(named) not in self.CHARSETS:
            return render(request, "400.html", status=400)
        return self.get_response(request)


def _codec(name: str) -> str:
    """Python's name for it; "" if it has none."""
    try:
        return codecs.lookup(name).name
    except (LookupError, ValueError):
        return ""


def comes_from_elsewhere(request: HttpRequest) -> bool:
    """Whether a browser says that another site sent this request.

    Sec-Fetch-Site decides (Fetch Metadata, W3C); an older browser's Origin is
    compared with SITE_URL. Programs that send neither, such as mail providers with
    RFC 8058 one-click requests, carry no cookies and are let through.
    """
    fetch_site = request.headers.get("Sec-Fetch-Site")
    if fetch_site is not None:
        return fetch_site not in {"same-origin", "none"}
    origin = request.headers.get("Origin")
    if origin is None:
        return False
    own = urlsplit(settings.SITE_URL)
    return origin != f"{own.scheme}://{own.netloc}"


class SameOriginGuard:
    """Refuses requests that another site makes a reader's browser send.

    A view may set `answers_any_origin` and then has to look at
    `request.comes_from_elsewhere` itself: one-click unsubscribing does.
    """

    def __init__(self, get_response: Answer) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        return self.get_response(request)

    def process_view(
        self,
        request: HttpRequest,
        view: Callable[..., HttpResponseBase],
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
    ) -> HttpResponse | None:
        elsewhere = request.method not in SAFE_METHODS and comes_from_elsewhere(request)
        request.comes_from_elsewhere = elsewhere  # type: ignore[attr-defined]
        if not elsewhere or getattr(view, "answers_any_origin", False):
            return None
        return render(request, "403.html", status=403)
