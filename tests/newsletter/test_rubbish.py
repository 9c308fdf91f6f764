"""Whatever arrives at the newsletter's addresses: a readable page, and nothing stored.

The addresses are read from the URLconf, so that a new one is tried as well.
"""

from itertools import product
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest
from django.http import HttpResponse
from django.test import Client
from django.urls import reverse
from hypothesis import HealthCheck, example, given, settings, strategies
from pytest_django import Settings

from mail import Recipient, token
from newsletter import urls
from newsletter.models import SignUp
from tests.newsletter.test_subscribing import (
    ROSA,
    policies,  # noqa: F401 - a fixture
    subscribe,
)
from tests.racing import everything

FORM = "application/x-www-form-urlencoded"
MULTIPART = "multipart/form-data; boundary=x"
OWN, OTHER = "https://health.example", "https://elsewhere.example"
NAMES = [str(one.name) for one in urls.urlpatterns]
PLACES = {str(one.name): list(one.pattern.converters) for one in urls.urlpatterns}
TAKES_A_TOKEN = {name for name, places in PLACES.items() if "token" in places}
FORMS = [name for name in NAMES if name not in TAKES_A_TOKEN]


@pytest.fixture
def browser(
    policies: None,  # noqa: F811
    settings: Settings,
    tmp_path: Path,
) -> Client:
    settings.STATIC_ROOT = tmp_path
    return Client(raise_request_exception=False, headers={"X-Forwarded-Proto": "https"})


def address_of(name: str, text: str = "x" * 44) -> str:
    values = {"token": text, "revision": "1", "slug": "sleep"}
    kwargs = {one: values[one] for one in PLACES[name]}
    return reverse(f"newsletter:{name}", kwargs=kwargs)


def part(name: str, value: bytes) -> bytes:
    return (
        b'--x\r\nContent-Disposition: form-data; name="%s"\r\n\r\n' % name.encode()
        + value
        + b"\r\n"
    )


BODIES: dict[str, tuple[bytes, str]] = {
    "nothing": (b"", FORM),
    "random bytes": (bytes(range(256)) * 20, FORM),
    "random bytes, no type": (bytes(range(256)) * 20, ""),
    "5 MB": (b"email=" + b"y" * 5_000_000, FORM),
    "5 MB of parts": (part("email", b"y" * 5_000_000) + b"--x--", MULTIPART),
    "JSON": (b'{"email": "rosa@example.com"}', "application/json"),
    "plain text": (b"email=rosa@example.com", "text/plain"),
    "a type with controls": (b"email=rosa@example.com", "text/\x00\x1b"),
    "doubled": (b"email=rosa@example.com&email=ben@example.com", FORM),
    "NUL": (b"email=rosa%00@example.com", FORM),
    "a bare NUL": (b"email=rosa@example.com\x00", FORM),
    "controls": (b"email=%1b[2Jrosa@example.com%07", FORM),
    "controls around it": (b"email=%1crosa@example.com%1f", FORM),
    "a header's end": (b"email=rosa@example.com%0d%0aBcc:ben@example.com", FORM),
    "Latin-1": ("email=rosé@example.com".encode("latin-1"), FORM),
    "UTF-16": ("email=rosa@example.com".encode("utf-16"), FORM),
    "another charset": (b"email=rosa@example.com", f"{FORM}; charset=utf-16"),
    "a surrogate": (b"email=rosa%ed%a0%80@example.com", FORM),
    "1,001 fields": (urlencode([(f"f{n}", "1") for n in range(1001)]).encode(), FORM),
    "5,000 parts": (b"".join([part("a", b"1")] * 5000) + b"--x--\r\n", MULTIPART),
    "cut-off multipart": (part("email", b"rosa@exam")[:-4], MULTIPART),
    "multipart without boundary": (part("email", b"r"), "multipart/form-data"),
    "a boundary of 500": (b"--", "multipart/form-data; boundary=" + "x" * 500),
    "a file": (
        b'--x\r\nContent-Disposition: form-data; name="email"; filename="a"\r\n'
        b"\r\nrosa@example.com\r\n--x--\r\n",
        MULTIPART,
    ),
    "broken base64": (
        b'--x\r\nContent-Disposition: form-data; name="email"\r\n'
        b"Content-Transfer-Encoding: base64\r\n\r\n!\r\n--x--\r\n",
        MULTIPART,
    ),
    "percents": (b"%&%%=%zz&=&&;", FORM),
}


# As Python knows them: texts, bytes and some that only raise.
CODECS = ["hex", "rot13", "zip", "bz2", "base64", "uu", "quopri", "idna", "punycode"]
CODECS += ["undefined", "mbcs", "utf-7", "unicode_escape", "x", "'", ""]


def post(browser: Client, path: str, body: bytes, kind: str) -> HttpResponse:
    return browser.generic("POST", path, body, content_type=kind)  # type: ignore[return-value]


def is_readable(answer: Any) -> bool:
    """A page; an address that only shows something takes no body at all."""
    if answer.status_code == 405:
        return True
    return "text/html" in answer["Content-Type"] and b"<h1" in answer.content


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("body", BODIES)
def test_rubbish_gets_a_readable_page_and_leaves_nothing(
    browser: Client, name: str, body: str
) -> None:
    before = everything()

    answer = post(browser, address_of(name), *BODIES[body])

    assert 400 <= answer.status_code < 500
    assert is_readable(answer)
    assert everything() == before


@pytest.mark.parametrize("name", [*FORMS, "confirm"])
def test_a_charset_of_no_browser_gets_a_readable_page(
    browser: Client, name: str
) -> None:
    before = everything()
    multipart = part("email", b"rosa") + b"--x--\r\n"

    for body, kind in ((b"email=rosa", FORM), (multipart, MULTIPART)):
        for codec in CODECS:
            answer = post(browser, address_of(name), body, f"{kind}; charset={codec}")
            assert 400 <= answer.status_code < 500, codec
            assert is_readable(answer)

    assert everything() == before


CHARACTERS = strategies.text() | strategies.sampled_from(
    ["rosa@example.com\x00", "ⓡosa@example.com", "rosa@exa\u00admple.com", "\ud800"]
)
FIELD_NAMES = strategies.sampled_from(["email", "subject", "topics", "x", ""])


@pytest.mark.parametrize("name", NAMES)
@given(
    body=strategies.binary(max_size=300),
    kind=strategies.sampled_from(
        [FORM, MULTIPART, "", "text/plain", f"{FORM}; charset=x"]
    ),
)
@example(body=b"email=a@b\x00", kind=FORM)
@settings(
    max_examples=60,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
def test_any_bytes_are_refused_calmly(
    browser: Client, name: str, body: bytes, kind: str
) -> None:
    answer = post(browser, address_of(name), body, kind)

    assert 400 <= answer.status_code < 500
    assert is_readable(answer)
    assert not SignUp.objects.exists()


@pytest.mark.parametrize("name", FORMS)
@given(fields=strategies.lists(strategies.tuples(FIELD_NAMES, CHARACTERS), max_size=5))
@settings(
    max_examples=60,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
def test_any_fields_end_in_a_page(
    browser: Client, name: str, fields: list[tuple[str, str]]
) -> None:
    body = urlencode(fields, errors="surrogatepass").encode()

    answer = post(browser, address_of(name), body, FORM)

    assert answer.status_code == 200 or 400 <= answer.status_code < 500
    assert is_readable(answer)
    assert not SignUp.objects.exclude(address__contains="@").exists()


@pytest.mark.parametrize("name", sorted(TAKES_A_TOKEN))
@pytest.mark.parametrize("method", ["get", "head", "post"])
@given(
    text=strategies.text(min_size=1, max_size=60).filter(lambda text: "/" not in text)
)
@example(text="=" * 44)
@example(text="A" * 44)
@example(text="\x00" * 44)
@settings(
    max_examples=30,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
def test_any_token_that_nobody_made_is_a_readable_404(
    browser: Client, name: str, method: str, text: str
) -> None:
    try:
        path = address_of(name, text)
    except UnicodeEncodeError:
        return
    answer = getattr(browser, method)(path)

    # A dot segment is another address of the site.
    assert answer.status_code in ({404} if text.strip(".") else {404, 405, 301, 200})


SITES = (None, "same-origin", "none", "same-site", "cross-site", "nonsense")
ORIGINS = (None, OWN, OTHER, "null")
HOSTS = ("health.example", "elsewhere.example")


@pytest.mark.parametrize("site", SITES)
@pytest.mark.parametrize("name", NAMES)
def test_w6_no_other_site_makes_a_browser_change_anything(
    browser: Client, name: str, site: str | None
) -> None:
    before = everything()

    for origin, host in product(ORIGINS, HOSTS):
        headers = {"Sec-Fetch-Site": site, "Origin": origin, "Host": host}
        told = {key: value for key, value in headers.items() if value is not None}
        answer = browser.post(address_of(name), {}, headers=told)
        assert answer.status_code in expected(name, site, origin, host), told
        assert is_readable(answer)

    assert everything() == before


def expected(name: str, site: str | None, origin: str | None, host: str) -> set[int]:
    """400 for a strange host, 403 for another site; 404 or 422 got past the guard."""
    if host not in OWN:
        return {400}
    is_ours = site in ("same-origin", "none") or (
        site is None and origin in (None, OWN)
    )
    if is_ours:
        # A form without its fields, a link nobody made, or nothing to post to.
        return {404, 405, 422}
    return {404} if name == "unsubscribe" else {403}


@pytest.mark.parametrize("site", ["same-site", "cross-site"])
def test_w6_one_click_from_elsewhere_needs_a_link_that_we_signed(
    browser: Client, site: str
) -> None:
    subscribe()
    key = Recipient.objects.get(address=ROSA).key
    headers = {"Sec-Fetch-Site": site, "Origin": OTHER}
    body = {"List-Unsubscribe": "One-Click"}

    def click(text: str) -> Any:
        return browser.post(address_of("unsubscribe", text), body, headers=headers)

    assert click(token("confirm", key)).status_code == 404
    assert click(token("unsubscribe", key)[:-1] + "!").status_code == 404
    assert click(token("unsubscribe", key)).status_code == 200


def test_w6_only_one_click_is_exempt() -> None:
    exempt = [
        one.name
        for one in urls.urlpatterns
        if getattr(one.callback, "answers_any_origin", False)
    ]

    assert exempt == ["unsubscribe"]
