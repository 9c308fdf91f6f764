"""Whatever arrives is answered with a readable page, and nothing is stored."""

from pathlib import Path

import pytest
from django.test import Client
from pytest_django import Settings

from newsletter.models import SignUp

FORM = "application/x-www-form-urlencoded"


@pytest.fixture
def browser(db: None, settings: Settings, tmp_path: Path) -> Client:
    # Static files were not collected; their middleware asks for the folder.
    settings.STATIC_ROOT = tmp_path
    return Client(raise_request_exception=False, headers={"X-Forwarded-Proto": "https"})


@pytest.mark.parametrize(
    ("body", "content_type"),
    [
        (b"", FORM),
        (b"email=", FORM),
        (b"email=\x00", FORM),
        (b"email=%00rosa@example.com", FORM),
        (b"email=%ff%fe@example.com", FORM),
        (b"email=rosa@example.com%0d%0aBcc:x@example.com", FORM),
        (b"email=a&email=rosa@", FORM),
        (b"email=" + b"r" * 5000 + b"@example.com", FORM),
        (b"\xff" * 300, FORM),
        (b"{", "application/json"),
        (b"nonsense", "multipart/form-data; boundary=x"),
        (b"nonsense", "multipart/form-data"),
        (b"email=rosa@example.com", "text/plain"),
        (b"x=" + b"y" * 5_000_000, FORM),
    ],
)
def test_the_form_takes_rubbish_calmly(
    browser: Client, body: bytes, content_type: str
) -> None:
    answer = browser.post("/newsletter/", body, content_type=content_type)

    assert 400 <= answer.status_code < 500
    assert b"<h1" in answer.content
    assert not SignUp.objects.exists()


@pytest.mark.parametrize("method", ["get", "head", "post"])
@pytest.mark.parametrize(
    ("page", "below"),
    [
        ("confirm", ""),
        ("move", ""),
        *(("unsubscribe", one) for one in ["", "pause/", "monthly/", "why/"]),
        *(
            ("preferences", one)
            for one in [
                *("", "start-again/", "agreed/", "agreed/terms/1/"),
                *("address/", "download/", "erase/"),
            ]
        ),
    ],
)
@pytest.mark.parametrize("token", ["x", "x" * 44, "%00" * 44, "é" * 44, "=" * 44])
def test_a_link_nobody_made_changes_nothing(
    browser: Client, method: str, page: str, below: str, token: str
) -> None:
    answer = getattr(browser, method)(f"/newsletter/{page}/{token}/{below}")

    assert answer.status_code == 404


@pytest.mark.parametrize(
    "path",
    [
        "/articles/%00/",
        "/articles/..%2f/",
        "/pictures/" + "f" * 64 + ".svg",
        "/about/x/",
    ],
)
def test_addresses_that_lead_nowhere_are_404(browser: Client, path: str) -> None:
    assert browser.get(path).status_code == 404


def test_a_strange_host_is_refused(browser: Client) -> None:
    answer = browser.get("/", headers={"Host": "evil.example"})

    assert answer.status_code == 400


@pytest.mark.parametrize("method", ["put", "delete", "patch"])
def test_other_methods_are_refused(browser: Client, method: str) -> None:
    assert getattr(browser, method)("/newsletter/").status_code == 405
