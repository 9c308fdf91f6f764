"""What providers tell over HTTP has the consequences of what comes back by mail.

The fixtures lie in a folder named after what they must be taken for, their names begin
with the provider's. Secrets and signatures are made here.
"""

import hmac
import json
import logging
import time
from base64 import b64encode
from hashlib import sha256
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from django.core.checks import run_checks
from django.core.exceptions import ImproperlyConfigured
from django.db import OperationalError
from django.http import HttpResponse
from django.test import Client
from pytest_django import Settings

from mail import Batch, Delivery, Recipient, webhooks
from mail.bounces import Taken, take_event
from mail.building import TipMail, build_tip
from mail.providers import PROVIDERS
from mail.reports import Verdict
from tests.mail.test_bounces import noted, sent, sent_batch, state, suppression
from tests.mail.test_reports import KEY
from tests.mail.test_sending import person
from twitchsite.env import Environment
from twitchsite.env import webhooks as parsed

Bounce, State = Delivery.Bounce, Delivery.State
FOLDER = Path(__file__).parent / "hooked"
FIXTURES = sorted(FOLDER.rglob("*.json"))
COUNTS = [path for path in FIXTURES if path.parent.name != "nothing"]
SENDGRID = ec.generate_private_key(ec.SECP256R1())
AMAZON = {
    "X-Amz-Sns-Message-Type": "Notification",
    "X-Amz-Sns-Message-Id": "22b80b92-fdea-4c2c-8f9d-bdfb0c7bf324",
}
PASSWORD = "provider:a long password"
SECRETS = {
    "mailgun": "a signing key",
    "resend": "whsec_" + b64encode(b"a shared secret of Resend").decode(),
    "sendgrid": b64encode(
        SENDGRID.public_key().public_bytes(
            Encoding.DER, PublicFormat.SubjectPublicKeyInfo
        )
    ).decode(),
    **dict.fromkeys(["brevo", "mailjet", "postmark", "ses", "sparkpost"], PASSWORD),
}


@pytest.fixture
def client(db: None, settings: Settings, tmp_path: Path) -> Client:
    settings.STATIC_ROOT = tmp_path
    settings.WEBHOOKS = SECRETS
    return Client(raise_request_exception=False, headers={"X-Forwarded-Proto": "https"})


def told(name: str, delivery: Delivery | None = None) -> bytes:
    """The fixture `name` as it comes for `delivery`."""
    (path,) = FOLDER.rglob(f"{name}.json")
    key = delivery.key if delivery else KEY
    return path.read_bytes().replace(KEY.hex.encode(), key.hex.encode())


def proof(provider: str, body: bytes, *, at: float | None = None) -> dict[str, str]:
    """The headers with which `provider` proves that it sent `body`."""
    now = str(int(at or time.time()))
    if provider == "mailgun":
        return {}
    if provider == "sendgrid":
        signed = SENDGRID.sign(now.encode() + body, ec.ECDSA(hashes.SHA256()))
        return {
            "X-Twilio-Email-Event-Webhook-Signature": b64encode(signed).decode(),
            "X-Twilio-Email-Event-Webhook-Timestamp": now,
        }
    if provider == "resend":
        digest = hmac.digest(
            b"a shared secret of Resend", f"msg_1.{now}.".encode() + body, sha256
        )
        signature = "v1,bm90IHRoaXM= v1," + b64encode(digest).decode()
        return {
            "svix-id": "msg_1",
            "svix-timestamp": now,
            "svix-signature": signature,
        }
    return {"Authorization": f"Basic {b64encode(PASSWORD.encode()).decode()}"}


def mailgun_signed(body: bytes) -> bytes:
    payload = json.loads(body)["signature"]
    message = f"{payload['timestamp']}{payload['token']}".encode()
    signature = hmac.new(b"a signing key", message, "sha256").hexdigest()
    return body.replace(b'"SIGNATURE"', f'"{signature}"'.encode())


def notification(event: bytes, **changes: str) -> bytes:
    """Amazon's notification service wraps what its mail service says."""
    return json.dumps(
        {
            "Type": "Notification",
            "MessageId": "22b80b92-fdea-4c2c-8f9d-bdfb0c7bf324",
            "TopicArn": "arn:aws:sns:eu-west-1:123456789012:bounces",
            "Message": event.decode("utf-8", "replace"),
            "Timestamp": "2026-11-24T09:00:03.124Z",
            "SignatureVersion": "1",
            **changes,
        }
    ).encode()


def post(client: Client, provider: str, body: bytes, **changes: Any) -> HttpResponse:
    """`body` as the provider sends it, with its proof."""
    kind = "application/json"
    extra: dict[str, str] = {}
    if provider == "mailgun" and b'"SIGNATURE"' in body:
        body = mailgun_signed(body)
    if provider == "ses":
        body, kind = notification(body), "text/plain; charset=UTF-8"
        extra = AMAZON
    headers = changes.pop("headers", proof(provider, body)) | extra
    kind = changes.pop("content_type", kind)
    return client.generic(  # type: ignore[return-value]
        "POST", f"/hooks/{provider}/", body, content_type=kind, headers=headers
    )


def provider_of(path: Path) -> str:
    return path.stem.partition("-")[0]


@pytest.mark.parametrize("path", FIXTURES, ids=lambda path: path.stem)
def test_each_event_is_taken_for_what_it_is(client: Client, path: Path) -> None:
    rosa = person("rosa")
    delivery = sent(rosa)

    answer = post(client, provider_of(path), told(path.stem, delivery))

    expected = path.parent.name.replace("-", " ").replace("nothing", "")
    assert (answer.status_code, answer.content) == (200, b"")
    assert noted(delivery)[:2] == (State.ACCEPTED, expected)
    suppressed = expected if expected in (Bounce.HARD, Bounce.COMPLAINT) else ""
    assert suppression(rosa) == suppressed


def test_every_provider_has_a_fixture_of_each_kind() -> None:
    kinds = {"hard-bounce", "soft-bounce", "policy-refusal", "complaint", "nothing"}
    have = {(provider_of(path), path.parent.name) for path in FIXTURES}

    assert {(name, kind) for name in PROVIDERS for kind in kinds} == have
    assert set(SECRETS) == set(PROVIDERS)


@pytest.mark.parametrize(
    ("name", "status"),
    [
        ("mailgun-unknown-user", "5.1.1"),
        ("postmark-hard-bounce", "5.1.1"),
        # A status in a sentence decides nothing.
        ("ses-on-its-own-list", "5.7.1"),
        ("sparkpost-spam-block", ""),
        ("brevo-refused-for-policy", "5.7.1"),
        ("resend-mailbox-full", "5.2.2"),
    ],
)
def test_the_status_is_kept(client: Client, name: str, status: str) -> None:
    delivery = sent(person("rosa"))

    post(client, name.partition("-")[0], told(name, delivery))

    assert noted(delivery)[2] == status


@pytest.mark.parametrize("path", COUNTS, ids=lambda path: path.stem)
def test_r9_an_address_alone_never_suffices(client: Client, path: Path) -> None:
    rosa = person("rosa")
    delivery = sent(rosa)

    answer = post(client, provider_of(path), told(path.stem))

    assert answer.status_code == 200
    assert noted(delivery)[1] == ""
    assert suppression(rosa) == ""


@pytest.mark.parametrize("provider", PROVIDERS)
def test_the_same_event_twice_is_once(client: Client, provider: str) -> None:
    (path, *_) = FOLDER.glob(f"complaint/{provider}-*.json")
    rosa = person("rosa")
    delivery = sent(rosa, sent_batch(0))
    body = told(path.stem, delivery)
    post(client, provider, body)
    first = Delivery.objects.values().get(pk=delivery.pk)
    Recipient.objects.update(suppressed_at=None, suppression="")

    assert post(client, provider, body).status_code == 200

    assert Delivery.objects.values().get(pk=delivery.pk) == first
    assert suppression(rosa) == ""


def test_r13_complaints_by_webhook_pause_the_batch(client: Client) -> None:
    batch = sent_batch(1000)

    for delivery in Delivery.objects.order_by("pk")[:5]:
        post(client, "postmark", told("postmark-complaint", delivery))

    assert state(batch) == Batch.State.PAUSED
    assert batch.pause_reason == "5 complaints in 1000 accepted (this batch)"


def test_events_that_come_together_are_all_taken(client: Client) -> None:
    rosa, other = sent(person("rosa")), sent(person("other"))
    both = [
        *json.loads(told("sendgrid-spam-report", rosa)),
        *json.loads(told("sendgrid-bounce", other)),
    ]

    post(client, "sendgrid", json.dumps(both).encode())

    assert noted(rosa)[1] == Bounce.COMPLAINT
    assert noted(other)[1] == Bounce.HARD


def wrong(provider: str, body: bytes) -> list[dict[str, str]]:
    """Ways in which somebody else could try to prove it."""
    ways: list[dict[str, str]] = [{}]
    for name, value in proof(provider, body).items():
        ways.append({**proof(provider, body), name: value[:-6] + "AAAA=="})
        ways.append({**proof(provider, body), name: "\xff\xfe"})
        ways.append({**proof(provider, body), name: ""})
    return ways


@pytest.mark.parametrize("provider", sorted(set(PROVIDERS) - {"mailgun"}))
def test_a_wrong_secret_or_signature_changes_nothing(
    client: Client, provider: str
) -> None:
    (path, *_) = FOLDER.glob(f"complaint/{provider}-*.json")
    delivery = sent(person("rosa"))
    body = told(path.stem, delivery)

    answers = [
        post(client, provider, body, headers=headers)
        for headers in wrong(provider, body)
    ]

    asked = PROVIDERS[provider].asks_for_a_password
    assert {one.status_code for one in answers} <= ({401} if asked else {400, 403})
    assert all(("WWW-Authenticate" in one.headers) is asked for one in answers)
    assert noted(delivery)[1] == ""


@pytest.mark.parametrize(
    "signature", [b'"0000"', b'""', b"17", b"null", b"{}", '"é"'.encode()]
)
def test_mailgun_signs_inside_its_body(client: Client, signature: bytes) -> None:
    delivery = sent(person("rosa"))
    body = told("mailgun-complained", delivery).replace(b'"SIGNATURE"', signature)

    assert post(client, "mailgun", body).status_code == 403
    assert noted(delivery)[1] == ""


@pytest.mark.parametrize("provider", ["resend", "sendgrid"])
def test_a_changed_body_breaks_the_signature(client: Client, provider: str) -> None:
    (path, *_) = FOLDER.glob(f"complaint/{provider}-*.json")
    delivery = sent(person("rosa"))
    signed = proof(provider, told(path.stem))

    answer = post(client, provider, told(path.stem, delivery), headers=signed)

    assert answer.status_code == 403
    assert noted(delivery)[1] == ""


@pytest.mark.parametrize("minutes", [-6, 6])
def test_a_signature_of_another_time_is_not_believed(
    client: Client, minutes: int
) -> None:
    delivery = sent(person("rosa"))
    body = told("resend-complained", delivery)
    signed = proof("resend", body, at=time.time() + 60 * minutes)

    assert post(client, "resend", body, headers=signed).status_code == 403
    assert noted(delivery)[1] == ""


@pytest.mark.parametrize("provider", ["mailgun", "nobody", "admin"])
def test_a_provider_that_is_not_configured_is_not_there(
    client: Client, settings: Settings, provider: str
) -> None:
    settings.WEBHOOKS = {"postmark": PASSWORD}

    answers = [client.head(f"/hooks/{provider}/"), client.post(f"/hooks/{provider}/")]
    assert [one.status_code for one in answers] == [404, 404]


def test_a_provider_may_look_whether_anybody_is_there(client: Client) -> None:
    assert client.head("/hooks/mailgun/").status_code == 200
    assert client.get("/hooks/mailgun/").status_code == 405


def test_an_answer_sets_no_cookie_and_is_kept_nowhere(client: Client) -> None:
    body = told("postmark-delivered")

    for headers in (proof("postmark", body), {}):
        answer = post(client, "postmark", body, headers=headers)
        assert not answer.cookies
        assert "no-store" in answer.headers["Cache-Control"]


@pytest.mark.parametrize(
    "browser",
    [
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        {"Origin": "https://elsewhere.example"},
        {"Origin": "null"},
    ],
)
def test_w6_another_sites_page_can_make_nobody_post_here(
    client: Client, browser: dict[str, str]
) -> None:
    delivery = sent(person("rosa"))
    body = told("postmark-complaint", delivery)

    answer = post(client, "postmark", body, headers=proof("postmark", body) | browser)

    assert answer.status_code == 403
    assert noted(delivery)[1] == ""


def test_the_provider_tries_again_while_the_database_is_away(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(*args: object) -> None:
        raise OperationalError("no address here: rosa@example.com")

    monkeypatch.setattr(webhooks, "take_event", away)

    answer = post(client, "postmark", told("postmark-complaint"))

    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "60")


def test_a_group_that_broke_off_half_way_comes_again_and_counts_once(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    rosa, other = sent(person("rosa"), sent_batch(0)), sent(person("other"))
    group = [
        *json.loads(told("sendgrid-spam-report", rosa)),
        *json.loads(told("sendgrid-bounce", other)),
    ]
    body = json.dumps(group).encode()

    def breaks_off(key: UUID | None, verdict: Verdict) -> Taken:
        if key == other.key:
            raise OperationalError
        return take_event(key, verdict)

    with monkeypatch.context() as patch:
        patch.setattr(webhooks, "take_event", breaks_off)
        assert post(client, "sendgrid", body).status_code == 503
    first = Delivery.objects.values().get(pk=rosa.pk)

    assert post(client, "sendgrid", body).status_code == 200

    assert first["bounce"] == Bounce.COMPLAINT
    assert Delivery.objects.values().get(pk=rosa.pk) == first
    assert noted(other)[1] == Bounce.HARD


def test_w14_the_log_holds_no_address_and_no_body(
    client: Client, caplog: pytest.LogCaptureFixture
) -> None:
    delivery = sent(person("rosa"))
    with caplog.at_level(logging.INFO):
        for path in FIXTURES:
            provider = provider_of(path)
            post(client, provider, told(path.stem, delivery))
            post(client, provider, told(path.stem, delivery), headers={})
            post(client, provider, b'{"rosa@example.com": [1')

    said = " ".join(str(record.msg) for record in caplog.records)
    assert "not proven" in said
    assert "not understood" in said
    assert "rosa" not in said
    assert "@" not in said


def test_amazons_first_question_is_a_persons_to_answer(
    client: Client, caplog: pytest.LogCaptureFixture
) -> None:
    url = "https://sns.eu-west-1.amazonaws.com/?Action=ConfirmSubscription&Token=2336"
    headers = {
        "X-Amz-Sns-Message-Type": "SubscriptionConfirmation",
        "X-Amz-Sns-Message-Id": "1",
    }

    def ask(subscribe_url: str, **more: str) -> int:
        body = notification(
            b"You have chosen to subscribe to the topic",
            Type="SubscriptionConfirmation",
            MessageId="1",
            SubscribeURL=subscribe_url,
        )
        return client.post(
            "/hooks/ses/", body, content_type="text/plain", headers=headers | more
        ).status_code

    assert ask(url) == 401
    assert url not in caplog.text
    assert ask("https://elsewhere.example/", **proof("ses", b"")) == 200
    assert "elsewhere" not in caplog.text
    assert ask(url, **proof("ses", b"")) == 200
    assert url in caplog.text


def test_the_key_leaves_with_each_mail(settings: Settings) -> None:
    mail = TipMail("Rest", "<html><body><p>x</p></body></html>", "x")
    settings.WEBHOOKS = {}
    without = build_tip(mail)
    settings.WEBHOOKS = SECRETS

    message = build_tip(mail)

    added = [
        line for line in message.split(b"\r\n") if line not in without.split(b"\r\n")
    ]
    assert sorted(line.partition(b":")[0] for line in added) == [
        b"X-MJ-EventPayload",
        b"X-MSYS-API",
        b"X-Mailgun-Variables",
        b"X-Mailin-custom",
        b"X-Metadata",
        b"X-PM-Metadata-delivery",
        b"X-SMTPAPI",
    ]
    assert all(line.count(b"@@MESSAGE-KEY@@") == 1 for line in added)
    values = [line.partition(b": ")[2] for line in added]
    assert all(json.loads(one) for one in values if one.startswith(b"{"))


def test_a_setting_names_each_provider_and_its_secret() -> None:
    assert parsed("mailgun:key=, postmark:user:pass:word,") == {
        "mailgun": "key=",
        "postmark": "user:pass:word",
    }


@pytest.mark.parametrize("text", ["mailgun", "mailgun:", "mailgun:s3cret,mailgun:b"])
def test_a_senseless_setting_is_refused_and_not_repeated(
    text: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WEBHOOKS", text)

    with pytest.raises(ImproperlyConfigured, match="WEBHOOKS") as raised:
        Environment(Path("there is none")).parsed("WEBHOOKS", parsed, remedy="x")

    assert "s3cret" not in str(raised.value)


@pytest.mark.parametrize(
    ("name", "secret", "found"),
    [
        ("mailgun", "a signing key", []),
        ("postmark", PASSWORD, []),
        ("sendgrid", SECRETS["sendgrid"], []),
        ("resend", SECRETS["resend"], []),
        ("mailgnu", "key", ["mail.E001"]),
        ("postmark", "no colon", ["mail.E002"]),
        ("postmark", "a-user:", ["mail.E002"]),
        ("sendgrid", "no key", ["mail.E002"]),
        ("resend", "whsec_é", ["mail.E002"]),
        ("mailgun", "schlüssel", ["mail.E002"]),
    ],
)
def test_a_secret_that_proves_nothing_stops_the_start(
    settings: Settings, name: str, secret: str, found: list[str]
) -> None:
    settings.WEBHOOKS = {name: secret}

    errors = [one for one in run_checks() if str(one.id).startswith("mail.")]

    assert [one.id for one in errors] == found
    assert not any(secret in str(one) for one in errors)
