"""Nobody twice, nobody lost: rows, fences and a real SMTP server."""

from datetime import timedelta
from uuid import uuid4

import pytest
from django.utils import timezone
from pytest_django import Settings

from mail import Batch, Delivery, Recipient, TipMail, drop_waiting, enqueue, start_batch
from mail.books import exchange
from mail.building import UNSUBSCRIBE
from mail.claiming import claim, lease
from mail.couriers import Couriers
from mail.pausing import pause
from mail.sending import send_due
from mail.sweeping import sweep
from tests.conftest import Mailbox

HTML = f'<html lang="en"><body><p>Rest.</p><a href="{UNSUBSCRIBE}">x</a></body></html>'
TIP = TipMail("Rest your eyes", HTML, f"Rest.\nLeave: {UNSUBSCRIBE}")
State = Delivery.State


def person(name: str, *, may_receive: bool = True) -> Recipient:
    return Recipient.objects.create(
        address=f"{name}@example.com", may_receive=may_receive
    )


def tip_for_everybody() -> Batch:
    batch = start_batch(
        name="tip", mail=TIP, recipients=Recipient.objects.all(), due_at=timezone.now()
    )
    assert batch is not None
    return batch


def states() -> dict[str, str]:
    rows = Delivery.objects.values_list("recipient__address", "state")
    return {address.partition("@")[0]: state for address, state in rows}


@pytest.mark.parametrize("window", [1, 10])
def test_a_batch_reaches_everybody_once(
    db: None, mailbox: Mailbox, settings: Settings, window: int
) -> None:
    settings.HANDOVER_WINDOW = window
    people = [person(f"p{number}") for number in range(45)]
    batch = tip_for_everybody()

    send_due()
    send_due()

    assert sorted(mailbox.taken) == sorted(one.address for one in people)
    batch.refresh_from_db()
    assert (batch.state, batch.eligible) == (Batch.State.FINISHED, 45)


def test_nobody_eligible_makes_no_batch(db: None) -> None:
    nobody = Recipient.objects.none()

    assert (
        start_batch(name="x", mail=TIP, recipients=nobody, due_at=timezone.now())
        is None
    )
    assert not Batch.objects.exists()


def test_a_message_is_queued_once_under_its_key(db: None) -> None:
    rosa, key = person("rosa", may_receive=False), str(uuid4())

    def ask() -> bool:
        return enqueue(
            rosa,
            kind=Delivery.Kind.CONFIRMATION,
            idempotency_key=key,
            subject="Please confirm",
            html=HTML,
            text="text",
        )

    assert ask()
    assert not ask()
    assert Delivery.objects.count() == 1


def test_two_claims_never_share_a_delivery(db: None) -> None:
    for number in range(30):
        person(f"p{number}")
    tip_for_everybody()

    first, second = claim(20), claim(20)

    assert len({one.id for one in first + second}) == 30


def test_consent_withdrawn_after_the_claim_stops_the_message(
    db: None, mailbox: Mailbox
) -> None:
    rosa = person("rosa")
    tip_for_everybody()
    (one,) = claim()
    Recipient.objects.filter(pk=rosa.pk).update(may_receive=False)

    with Couriers() as couriers:
        couriers.deliver([one])

    assert states() == {"rosa": State.DROPPED}
    assert mailbox.taken == []


def test_a_batch_held_after_the_claim_keeps_its_deliveries(
    db: None, mailbox: Mailbox
) -> None:
    person("rosa")
    batch = tip_for_everybody()
    claims = claim()
    pause(batch.pk, reason="a test")

    with Couriers() as couriers:
        couriers.deliver(claims)

    assert states() == {"rosa": State.QUEUED}
    assert mailbox.taken == []


def test_unsubscribing_calls_back_what_waits(db: None, mailbox: Mailbox) -> None:
    rosa = person("rosa")
    tip_for_everybody()

    assert drop_waiting(rosa, reason="unsubscribed") == 1
    send_due()

    assert states() == {"rosa": State.DROPPED}
    assert mailbox.taken == []


def test_a_worker_that_lost_its_lease_sends_nothing(db: None, mailbox: Mailbox) -> None:
    person("rosa")
    tip_for_everybody()
    (late,) = claim()
    sweep(timezone.now() + lease() + timedelta(seconds=1))
    send_due()

    with Couriers() as couriers:
        couriers.deliver([late])

    assert mailbox.taken == ["rosa@example.com"]
    assert states() == {"rosa": State.ACCEPTED}


def test_a_crash_while_handing_over_is_uncertain_and_not_resent(
    db: None, mailbox: Mailbox
) -> None:
    person("rosa")
    tip_for_everybody()
    exchange([], claim())

    sweep(timezone.now() + lease() + timedelta(seconds=1))
    send_due()

    assert states() == {"rosa": State.UNCERTAIN}
    assert mailbox.taken == []


def test_s4_one_bad_mailbox_stops_nobody_else(db: None, mailbox: Mailbox) -> None:
    gone, busy, fine = person("gone"), person("busy"), person("fine")
    mailbox.rcpt_replies = {
        gone.address: "550 5.1.1 no such user",
        busy.address: "451 4.7.1 greylisted",
    }
    tip_for_everybody()

    send_due()

    assert states() == {
        "gone": State.REFUSED,
        "busy": State.QUEUED,
        "fine": State.ACCEPTED,
    }
    assert mailbox.taken == [fine.address]
    gone.refresh_from_db()
    busy.refresh_from_db()
    assert gone.suppression == Recipient.Suppression.HARD_BOUNCE
    assert busy.suppressed_at is None


def test_a_refused_sender_pauses_the_batch_and_blames_nobody(
    db: None, mailbox: Mailbox
) -> None:
    rosa = person("rosa")
    mailbox.mail_reply = "550 5.7.1 not you"
    batch = tip_for_everybody()

    send_due()

    batch.refresh_from_db()
    rosa.refresh_from_db()
    assert batch.state == Batch.State.PAUSED
    assert rosa.suppressed_at is None
    assert states() == {"rosa": State.QUEUED}


def test_s8_a_message_that_cant_be_made_fails_alone(db: None, mailbox: Mailbox) -> None:
    rosa = person("rosa")
    tip_for_everybody()
    Delivery.objects.create(
        recipient=rosa,
        kind=Delivery.Kind.STAFF,
        idempotency_key="poison",
        dated_at=timezone.now(),
        due_at=timezone.now(),
    )

    send_due()

    assert mailbox.taken == [rosa.address]
    assert Delivery.objects.get(idempotency_key="poison").state == State.REFUSED


def test_an_unreachable_server_loses_nothing(db: None, settings: Settings) -> None:
    settings.MAIL_SERVER = {**settings.MAIL_SERVER, "port": 1}
    person("rosa")
    tip_for_everybody()

    send_due()

    assert states() == {"rosa": State.QUEUED}


def test_what_waited_too_long_is_given_up_with_its_reason(db: None) -> None:
    person("rosa")
    tip_for_everybody()

    sweep(timezone.now() + timedelta(hours=25))

    (delivery,) = Delivery.objects.all()
    assert (delivery.state, delivery.reason) == (State.REFUSED, "expired")
