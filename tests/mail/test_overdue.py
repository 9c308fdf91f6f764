"""What begins too late waits for a person; what can't leave in a day is given up."""

from datetime import datetime, timedelta
from threading import Thread

import pytest
from django.db import connection, transaction
from django.utils import timezone
from pytest_django import DjangoAssertNumQueries, Settings

from mail import Batch, Delivery, Recipient, TipMail, enqueue, start_batch
from mail.claiming import claim, lease
from mail.models import QueueEntry
from mail.overdue import hold_overdue, overdue_from
from mail.pausing import pause
from mail.sending import send_due
from mail.sweeping import sweep
from tests.conftest import Mailbox
from tests.mail.test_sending import HTML, TIP, person, states
from tests.racing import at_once

State = Delivery.State
MINUTE = timedelta(minutes=1)
HOUR = timedelta(hours=1)


def tip_due(ago: timedelta, mail: TipMail = TIP) -> Batch:
    """A tip for everybody that was due that long ago."""
    batch = start_batch(
        name="tip",
        mail=mail,
        recipients=Recipient.objects.all(),
        due_at=timezone.now() - ago,
    )
    assert batch is not None
    return batch


def confirmation(to: Recipient) -> Delivery:
    enqueue(
        to,
        kind=Delivery.Kind.CONFIRMATION,
        idempotency_key=f"confirmation-{to.pk}",
        subject="Please confirm",
        html=HTML,
        text="text",
    )
    return Delivery.objects.get(recipient=to)


def state_of(batch: Batch) -> str:
    batch.refresh_from_db()
    return batch.state


# --- Overdue -------------------------------------------------------------------


def test_a_batch_that_begins_an_hour_late_waits_for_a_person(
    db: None, mailbox: Mailbox
) -> None:
    person("rosa")
    batch = tip_due(HOUR)

    send_due()

    assert (mailbox.taken, states()) == ([], {"rosa": State.QUEUED})
    assert state_of(batch) == Batch.State.PAUSED
    assert "an hour after its time" in batch.pause_reason


def test_a_batch_that_begins_within_its_hour_goes_out(
    db: None, mailbox: Mailbox
) -> None:
    person("rosa")
    batch = tip_due(59 * MINUTE)

    send_due()

    assert mailbox.taken == ["rosa@example.com"]
    assert state_of(batch) == Batch.State.FINISHED


def test_a_batch_that_began_in_time_is_never_overdue(
    db: None, mailbox: Mailbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A million mails take longer than an hour."""
    person("first")
    person("second")
    batch = tip_due(59 * MINUTE)
    Delivery.objects.filter(recipient__address="second@example.com").update(
        due_at=timezone.now() + HOUR
    )
    send_due()

    later = timezone.now() + 2 * HOUR
    monkeypatch.setattr(timezone, "now", lambda: later)
    send_due()

    assert mailbox.taken == ["first@example.com", "second@example.com"]
    assert state_of(batch) == Batch.State.FINISHED
    assert batch.overdue_at is None


def test_a_batch_is_overdue_an_hour_after_its_first_is_due(db: None) -> None:
    person("rosa")
    batch = tip_due(timedelta(0))

    assert batch.overdue_at == Delivery.objects.get().due_at + HOUR


def test_a_mail_server_that_was_away_for_an_hour_holds_the_batch(
    db: None, settings: Settings, mailbox: Mailbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    there = settings.MAIL_SERVER
    settings.MAIL_SERVER = {**there, "port": 1}
    person("rosa")
    batch = tip_due(timedelta(0))
    send_due()
    assert state_of(batch) == Batch.State.RUNNING

    settings.MAIL_SERVER = there
    later = timezone.now() + HOUR
    monkeypatch.setattr(timezone, "now", lambda: later)
    send_due()

    assert (mailbox.taken, state_of(batch)) == ([], Batch.State.PAUSED)


def test_try_again_later_is_no_beginning(
    db: None, mailbox: Mailbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    rosa = person("rosa")
    mailbox.rcpt_replies = {rosa.address: "451 4.7.1 later"}
    batch = tip_due(timedelta(0))
    send_due()
    mailbox.rcpt_replies = {}

    later = timezone.now() + HOUR
    monkeypatch.setattr(timezone, "now", lambda: later)
    send_due()

    assert (mailbox.taken, state_of(batch)) == ([], Batch.State.PAUSED)


def test_what_expired_unsent_is_no_beginning(db: None, mailbox: Mailbox) -> None:
    person("expired")
    person("waiting")
    batch = tip_due(HOUR)
    Delivery.objects.filter(recipient__address="expired@example.com").update(
        expires_at=timezone.now()
    )

    sweep()

    assert states() == {"expired": State.REFUSED, "waiting": State.QUEUED}
    assert state_of(batch) == Batch.State.PAUSED


def test_what_is_just_leaving_began_in_time(db: None, mailbox: Mailbox) -> None:
    person("rosa")
    batch = tip_due(59 * MINUTE)
    (one,) = claim()

    hold_overdue(timezone.now() + MINUTE)

    assert state_of(batch) == Batch.State.RUNNING
    sweep(timezone.now() + lease() + MINUTE)
    assert state_of(batch) == Batch.State.PAUSED, "its worker vanished"
    assert one.batch_id == batch.pk


def test_a_claim_from_before_the_crash_is_no_sign_of_life(
    db: None, mailbox: Mailbox
) -> None:
    person("claimed")
    person("waiting")
    batch = tip_due(2 * HOUR)
    QueueEntry.objects.filter(
        delivery__recipient__address="claimed@example.com"
    ).update(claimed_until=timezone.now() - HOUR)

    send_due()

    assert (mailbox.taken, state_of(batch)) == ([], Batch.State.PAUSED)


def test_a_person_who_lets_it_run_again_is_heard(
    db: None, mailbox: Mailbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    person("rosa")
    batch = tip_due(2 * HOUR)
    send_due()

    Batch.objects.filter(pk=batch.pk).update(
        state=Batch.State.RUNNING,
        pause_reason="",
        overdue_at=overdue_from(timezone.now()),
    )
    send_due()

    assert mailbox.taken == ["rosa@example.com"]
    assert state_of(batch) == Batch.State.FINISHED


def test_a_batch_that_was_paused_for_something_else_keeps_its_reason(
    db: None,
) -> None:
    person("rosa")
    batch = tip_due(2 * HOUR)
    pause(batch.pk, reason="too many complaints")

    hold_overdue()

    assert state_of(batch) == Batch.State.PAUSED
    assert batch.pause_reason == "too many complaints"


def test_single_mails_go_while_a_batch_is_held(db: None, mailbox: Mailbox) -> None:
    person("rosa")
    tip_due(2 * HOUR)
    confirmation(person("new"))

    send_due()

    assert mailbox.taken == ["new@example.com"]


def test_two_workers_that_start_late_send_nothing(
    cloned_database: str, mailbox: Mailbox
) -> None:
    for number in range(50):
        person(f"p{number}")
    batch = tip_due(HOUR)

    ends = at_once(*[send_due] * 4)

    assert ends == [0, 0, 0, 0]
    assert (mailbox.taken, state_of(batch)) == ([], Batch.State.PAUSED)


def test_who_comes_while_a_batch_is_being_held_waits_and_claims_none(
    cloned_database: str,
) -> None:
    person("rosa")
    tip_due(HOUR)
    claimed: list[object] = []

    with transaction.atomic():
        assert hold_overdue() == 1
        other = Thread(target=lambda: claimed.extend(_claim_and_close()))
        other.start()
        other.join(1)
        assert other.is_alive(), "it did not wait for the one who holds"
    other.join()

    assert claimed == []


def _claim_and_close() -> list[object]:
    try:
        return list(claim())
    finally:
        connection.close()


def test_asking_costs_one_query_while_nothing_is_late(
    db: None, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    person("rosa")
    tip_due(timedelta(0))

    # In a test, BEGIN and COMMIT are a savepoint's queries.
    with django_assert_num_queries(1 + 2):
        hold_overdue()


# --- Expiry --------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["tip", "confirmation"])
def test_a_delivery_expires_a_day_after_it_was_due(db: None, kind: str) -> None:
    rosa = person("rosa")
    if kind == "tip":
        tip_due(timedelta(0))
    else:
        confirmation(rosa)
    due_at = Delivery.objects.values_list("due_at", flat=True).get()

    sweep(due_at + timedelta(hours=23, minutes=59))
    assert Delivery.objects.get().state == State.QUEUED
    sweep(due_at + timedelta(hours=24))

    delivery = Delivery.objects.get()
    assert (delivery.state, delivery.reason) == (State.REFUSED, "expired")
    assert delivery.message is None


@pytest.mark.parametrize("kind", ["tip", "confirmation"])
def test_retries_push_no_expiry_on(
    db: None, mailbox: Mailbox, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    rosa = person("rosa")
    mailbox.rcpt_replies = {rosa.address: "451 4.7.1 later"}
    begun_at = now = timezone.now()
    if kind == "tip":
        Batch.objects.filter(pk=tip_due(timedelta(0)).pk).update(overdue_at=None)
    else:
        confirmation(rosa)
    while Delivery.objects.get().state == State.QUEUED:
        monkeypatch.setattr(timezone, "now", lambda at=now: at)
        send_due()
        sweep(now)
        now = max(now + MINUTE, Delivery.objects.get().due_at)
        assert now < begun_at + timedelta(hours=29), "it was never given up"

    mailbox.rcpt_replies = {}
    send_due()
    delivery = Delivery.objects.get()
    assert (delivery.state, delivery.reason) == (State.REFUSED, "expired")
    assert delivery.attempts > 5
    assert mailbox.taken == []


def test_a_worker_that_starts_late_sends_nothing_that_expired(
    db: None, mailbox: Mailbox
) -> None:
    """It claims before the first sweep comes round."""
    confirmation(person("rosa"))
    a_day_ago = timezone.now() - timedelta(hours=24)
    Delivery.objects.update(due_at=a_day_ago, expires_at=timezone.now())

    send_due()

    assert (mailbox.taken, states()) == ([], {"rosa": State.REFUSED})
    assert Delivery.objects.get().reason == "expired"


def test_each_persons_own_time_counts(db: None) -> None:
    """A batch spreads over time zones; each delivery has its own day."""
    batch = tip_due_for_nobody()
    for name, hours in (("early", 0), ("late", 26)):
        due_at = batch.created_at + timedelta(hours=hours)
        made(batch, name, due_at)

    sweep(batch.created_at + timedelta(hours=25))

    assert states() == {"early": State.REFUSED, "late": State.QUEUED}
    sweep(batch.created_at + timedelta(hours=50))
    assert states() == {"early": State.REFUSED, "late": State.REFUSED}


def tip_due_for_nobody() -> Batch:
    batch = Batch.objects.create(name="tip", message=b"")
    batch.refresh_from_db()
    return batch


def made(batch: Batch, name: str, due_at: datetime) -> None:
    Delivery.objects.create(
        recipient=person(name),
        batch=batch,
        kind=Delivery.Kind.TIP,
        idempotency_key=name,
        due_at=due_at,
    )
