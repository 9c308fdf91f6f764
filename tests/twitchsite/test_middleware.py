import pytest
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.test import RequestFactory
from pytest_django import Settings

from twitchsite.middleware import (
    HEADERS,
    ClientAddress,
    SameOriginGuard,
    SecurityHeaders,
)

pytestmark = pytest.mark.django_db
OWN, OTHER = "https://health.example", "https://elsewhere.example"


def view(request: HttpRequest) -> HttpResponseBase:
    return HttpResponse("done")


def guarded(method: str, **headers: str) -> HttpResponse | None:
    request = RequestFactory().generic(method, "/newsletter/", headers=headers)
    return SameOriginGuard(view).process_view(request, view, (), {})


@pytest.mark.parametrize("origin", [None, OWN, OTHER, "null"])
@pytest.mark.parametrize("site", ["same-origin", "none", "same-site", "cross-site"])
def test_w6_fetch_metadata_decides_where_a_browser_sends_it(
    site: str, origin: str | None
) -> None:
    headers = {"Sec-Fetch-Site": site} | ({"Origin": origin} if origin else {})

    refusal = guarded("POST", **headers)

    if site in ("same-origin", "none"):
        assert refusal is None
    else:
        assert refusal is not None
        assert refusal.status_code == 403
        assert b"<h1>" in refusal.content


@pytest.mark.parametrize(
    ("origin", "passes"),
    [
        (None, True),
        (OWN, True),
        (OTHER, False),
        ("null", False),
        ("http://health.example", False),
        (f"{OWN}.elsewhere.example", False),
    ],
)
def test_w6_an_older_browser_is_judged_by_its_origin(
    origin: str | None, passes: bool
) -> None:
    refusal = guarded("POST", **({"Origin": origin} if origin else {}))

    assert (refusal is None) is passes


@pytest.mark.parametrize("method", ["GET", "HEAD", "OPTIONS"])
def test_w6_reading_is_never_refused(method: str) -> None:
    assert guarded(method, **{"Sec-Fetch-Site": "cross-site"}) is None


@pytest.mark.parametrize("status", [200, 301, 304, 400, 403, 404, 413, 500])
def test_w4_every_status_carries_the_headers(status: int) -> None:
    answer = SecurityHeaders(lambda request: HttpResponse(status=status))

    response = answer(RequestFactory().get("/"))

    assert {name: response.headers[name] for name in HEADERS} == HEADERS


@pytest.mark.parametrize(
    ("proxies", "chain", "expected"),
    [
        (0, "203.0.113.9", "192.0.2.1"),
        (1, None, "192.0.2.1"),
        (1, "203.0.113.9", "203.0.113.9"),
        # What stands before it the client may have made up.
        (1, "198.51.100.1, 203.0.113.9", "203.0.113.9"),
        (2, "198.51.100.1, 203.0.113.9", "198.51.100.1"),
        (2, "1.1.1.1,198.51.100.1,10.0.0.1", "198.51.100.1"),
        # It did not come through both.
        (2, "203.0.113.9", "192.0.2.1"),
        (1, "203.0.113.9:4711", "203.0.113.9"),
        (1, "[2001:db8::1]:4711", "2001:db8::1"),
        (1, "2001:db8::1", "2001:db8::1"),
        (1, "unknown", "192.0.2.1"),
        (1, "203.0.113.9,", "192.0.2.1"),
        (1, "\u0661.1.1.1", "192.0.2.1"),
    ],
)
def test_the_client_stands_before_the_proxies_and_forged_headers_never_count(
    settings: Settings, proxies: int, chain: str | None, expected: str
) -> None:
    settings.TRUSTED_PROXIES = proxies
    headers = {"X-Forwarded-For": chain} if chain else {}
    request = RequestFactory().get("/", headers=headers, REMOTE_ADDR="192.0.2.1")

    ClientAddress(view)(request)

    assert request.META["REMOTE_ADDR"] == expected
