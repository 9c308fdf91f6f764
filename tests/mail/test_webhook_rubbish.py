"""Whatever comes to a webhook is answered, and what is no event changes nothing."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from django.test import Client
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from mail import Delivery, webhooks
from mail.providers import PROVIDERS
from tests.mail.test_bounces import noted, sent
from tests.mail.test_sending import person
from tests.mail.test_webhooks import (
    AMAZON,
    FIXTURES,
    FOLDER,
    SECRETS,
    client,
    notification,
    post,
    proof,
    provider_of,
    told,
)

__all__ = ["client"]


DEEP = b'{"a":' * 100_000 + b"1" + b"}" * 100_000
RUBBISH = {
    "empty": b"",
    "bytes": bytes(range(256)),
    "no object": b"17",
    "nothing": b"null",
    "a list of nothing": b"[null]",
    "an object": b"{}",
    "deep": DEEP,
    "deep list": b"[" * 100_000,
    "a number without end": b'{"signature":{"timestamp":' + b"9" * 5000 + b"}}",
    "not a number": b'{"event": NaN, "timestamp": Infinity}',
    "another charset": '{"event": "bounce"}'.encode("utf-16"),
    "a lone surrogate": b'{"event": "\\ud800", "msys": {"\\u0000": 1}}',
    "wrong types": b'[{"event": [], "event-data": 1, "type": {}, "msys": []}]',
}


@pytest.mark.parametrize("rubbish", RUBBISH)
@pytest.mark.parametrize("provider", PROVIDERS)
def test_rubbish_is_refused_whether_it_is_proven_or_not(
    client: Client, provider: str, rubbish: str
) -> None:
    body = RUBBISH[rubbish]

    for headers in (proof(provider, body), {}):
        answer = client.post(
            f"/hooks/{provider}/",
            body,
            content_type="application/json",
            headers=headers,
        )
        # An object or a list of nothing is an event of a kind nobody knows.
        assert answer.status_code == 200 or 400 <= answer.status_code < 500
        assert headers or answer.status_code != 200
    assert not Delivery.objects.exists()


@pytest.mark.parametrize("provider", PROVIDERS)
@pytest.mark.parametrize(
    "kind",
    [
        "",
        "text/html",
        "application/x-www-form-urlencoded",
        "multipart/form-data; boundary=x",
        "\xff",
    ],
)
def test_another_content_type_is_refused(
    client: Client, provider: str, kind: str
) -> None:
    (path, *_) = FOLDER.glob(f"complaint/{provider}-*.json")
    delivery = sent(person("rosa"))

    answer = post(client, provider, told(path.stem, delivery), content_type=kind)

    assert 400 <= answer.status_code < 500
    assert noted(delivery)[1] == ""


@pytest.mark.parametrize("provider", PROVIDERS)
def test_a_charset_that_nobody_knows_is_no_error_of_ours(
    client: Client, provider: str
) -> None:
    """JSON is UTF-8 whatever is said of it (RFC 8259 section 8.1)."""
    (path, *_) = FOLDER.glob(f"complaint/{provider}-*.json")
    kind = "application/json; charset=nonsense"

    answer = post(client, provider, told(path.stem), content_type=kind)

    assert answer.status_code in (200, 400)


def doubled(body: bytes) -> bytes:
    return body.replace(b"{", b'{"twice": 1, "twice": 2, ', 1)


@pytest.mark.parametrize("provider", sorted(set(PROVIDERS) - {"ses"}))
def test_a_name_that_stands_twice_is_refused(client: Client, provider: str) -> None:
    (path, *_) = FOLDER.glob(f"complaint/{provider}-*.json")
    delivery = sent(person("rosa"))

    answer = post(client, provider, doubled(told(path.stem, delivery)))

    assert answer.status_code == 400
    assert noted(delivery)[1] == ""


def test_a_name_that_stands_twice_in_a_notification_is_refused(client: Client) -> None:
    delivery = sent(person("rosa"))
    body = doubled(notification(told("ses-complaint", delivery)))

    answer = client.post(
        "/hooks/ses/",
        body,
        content_type="text/plain",
        headers=proof("ses", body) | AMAZON,
    )

    assert answer.status_code == 400
    assert noted(delivery)[1] == ""


@pytest.mark.parametrize("provider", PROVIDERS)
def test_a_body_past_a_megabyte_is_refused_unread(
    client: Client, provider: str
) -> None:
    body = b'{"a": "' + b"x" * 1024 * 1024 + b'"}'

    answer = post(client, provider, body, headers=proof(provider, body))

    assert answer.status_code == 413


@pytest.fixture(scope="module")
def anybody(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    """Hypothesis calls a test many times with one fixture; nothing is written."""
    with pytest.MonkeyPatch.context() as patch:
        static = tmp_path_factory.mktemp("static")
        patch.setattr("django.conf.settings.STATIC_ROOT", static)
        patch.setattr("django.conf.settings.WEBHOOKS", SECRETS)
        patch.setattr(webhooks, "take_event", lambda key, verdict: None)
        yield Client(
            raise_request_exception=False, headers={"X-Forwarded-Proto": "https"}
        )


JSON = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=20),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.text(max_size=8)
            | st.sampled_from(
                ["event", "event-data", "msys", "data", "Type", "signature"]
            ),
            inner,
            max_size=4,
        )
    ),
    max_leaves=20,
)


@st.composite
def spoiled(draw: st.DrawFn) -> tuple[str, bytes]:
    """A provider's event with pieces of it replaced by anything at all."""
    path = draw(st.sampled_from(FIXTURES))
    event = json.loads(path.read_bytes())
    for _ in range(draw(st.integers(1, 3))):
        at: Any = event
        while isinstance(at, dict | list) and at:
            step = draw(
                st.sampled_from(sorted(at) if isinstance(at, dict) else range(len(at)))
            )
            if not isinstance(at[step], dict | list) or draw(st.booleans()):
                at[step] = draw(JSON)
                break
            at = at[step]
    return provider_of(path), json.dumps(event).encode()


@hypothesis_settings(max_examples=150, deadline=None)
@given(sent=spoiled() | st.tuples(st.sampled_from(sorted(PROVIDERS)), st.binary()))
def test_whatever_a_provider_sends_is_answered(
    anybody: Client, sent: tuple[str, bytes]
) -> None:
    provider, body = sent

    answer = post(anybody, provider, body)

    assert answer.status_code in (200, 400, 401, 403)
