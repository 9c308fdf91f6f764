import pytest
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.test import RequestFactory

from twitchsite.middleware import HEADERS, SameOriginGuard, SecurityHeaders

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
